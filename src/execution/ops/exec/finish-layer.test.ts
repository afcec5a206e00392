/** What overlayfs copied up without a change stays out of the layer, and nothing else does. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fromText } from '#ground/base/byte-string.ts';
import { setAttribute } from '#ground/linux/attributes.ts';
import { finishLayer } from './finish-layer.ts';

const now = BigInt(Date.now()) * 1_000_000n;

function put(folder: string, path: string, text: string, time = 1000): void {
  const file = join(folder, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text, 'latin1');
  utimesSync(file, time, time);
}

function withFolders(work: (upper: string, lower: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), 'jettison-unchanged-'));
  try {
    for (const name of ['upper', 'lower']) mkdirSync(join(folder, name));
    work(join(folder, 'upper'), join(folder, 'lower'));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test('a file that is the same in everything goes, its folder keeps its time; its new name stays', () => {
  withFolders((upper, lower) => {
    put(lower, 'h/1', 'a');
    put(upper, 'h/1', 'a');
    linkSync(join(upper, 'h/1'), join(upper, 'h/3'));
    utimesSync(join(upper, 'h'), 5, 5);
    assert.equal(
      finishLayer(upper, () => [lower], { began: now, epoch: 0n }),
      1,
    );
    assert.equal(existsSync(join(upper, 'h/1')), false);
    assert.equal(readFileSync(join(upper, 'h/3'), 'utf8'), 'a');
    assert.equal(lstatSync(join(upper, 'h')).mtimeMs, 5000);
  });
});

test('the same size and time with other bytes, modes, owners or attributes stays', () => {
  withFolders((upper, lower) => {
    for (const name of ['bytes', 'mode', 'owner', 'attribute', 'time', 'new']) put(upper, name, 'one');
    for (const name of ['mode', 'owner', 'attribute']) put(lower, name, 'one');
    put(lower, 'bytes', 'two');
    put(lower, 'time', 'one', 1001);
    chmodSync(join(upper, 'mode'), 0o600);
    chownSync(join(upper, 'owner'), 1, 1);
    setAttribute(fromText(join(upper, 'attribute')), 'user.a', new Uint8Array([1]));
    finishLayer(upper, () => [lower], { began: now, epoch: 0n });
    for (const name of ['bytes', 'mode', 'owner', 'attribute', 'time', 'new']) assert.ok(existsSync(join(upper, name)), name);
  });
});

test('a file in a folder that was made anew stays: below it nothing shows through', () => {
  withFolders((upper, lower) => {
    put(lower, 'd/f', 'a');
    put(upper, 'd/f', 'a');
    setAttribute(fromText(join(upper, 'd')), 'trusted.overlay.opaque', new Uint8Array([0x79]));
    finishLayer(upper, () => [lower], { began: now, epoch: 0n });
    assert.ok(existsSync(join(upper, 'd/f')));
  });
});

test('a time since the step began that was cut to its second, as utime(2) gives it, is one', () => {
  withFolders((upper) => {
    const [began, cut] = [now - (now % 1_000_000_000n) + 700_000_000n, Number(now / 1_000_000_000n)];
    put(upper, 'etc/shadow-', 'a', cut);
    put(upper, 'etc/before', 'a', cut - 1);
    put(upper, 'etc/given', 'a', cut + 0.5);
    finishLayer(upper, () => [], { began, epoch: 7n });
    const timeOf = (name: string): number => lstatSync(join(upper, 'etc', name)).mtimeMs / 1000;
    assert.deepEqual(['shadow-', 'before', 'given'].map(timeOf), [7, cut - 1, cut + 0.5]);
  });
});

test('times since the step began become its epoch, those before stay, and compiled files of Python follow their sources', () => {
  withFolders((upper) => {
    const later = Number(now / 1_000_000_000n) + 5;
    put(upper, 'd/new', 'a', later);
    put(upper, 'd/old', 'a', 1000);
    put(upper, 'p/mod.py', 'x = 1', later);
    put(upper, 'p/kept.py', 'x = 1', 1000);
    put(upper, 'p/__pycache__/mod.cpython-311.pyc', compiled(0, later), later);
    put(upper, 'p/__pycache__/mod.cpython-312.pyc', compiled(1, later), later);
    put(upper, 'p/__pycache__/kept.cpython-311.pyc', compiled(0, 1000), later);
    put(upper, 'p/__pycache__/other.cpython-311.pyc', compiled(0, later), later);
    put(upper, 'p/mod.pyc', compiled(0, later), later);
    put(upper, 'p/mod.cpython-311.pyc', compiled(0, later), 1000);
    symlinkSync('mod.py', join(upper, 'p/link'));
    utimesSync(join(upper, 'd'), later, later);
    utimesSync(join(upper, 'p'), later, later);
    finishLayer(upper, () => [], { began: now, epoch: 7n });
    const timeOf = (path: string): number => lstatSync(join(upper, path)).mtimeMs / 1000;
    assert.deepEqual(
      ['d', 'd/new', 'd/old', 'p', 'p/mod.py', 'p/kept.py', 'p/mod.pyc', 'p/link'].map(timeOf),
      [7, 7, 1000, 7, 7, 1000, 7, 7],
    );
    const said = (path: string): number => readFileSync(join(upper, 'p', path)).readUInt32LE(8);
    assert.deepEqual(
      [
        'mod.pyc',
        '__pycache__/mod.cpython-311.pyc',
        '__pycache__/mod.cpython-312.pyc',
        '__pycache__/kept.cpython-311.pyc',
        '__pycache__/other.cpython-311.pyc',
      ].map(said),
      [7, 7, later, 1000, later],
    );
    assert.equal(timeOf('p/__pycache__/mod.cpython-311.pyc'), 7);
    assert.deepEqual([said('mod.cpython-311.pyc'), timeOf('p/mod.cpython-311.pyc')], [7, 1000]);
  });
});

/** PEP 552: magic, flags, time of the source, its size. */
function compiled(flags: number, time: number): string {
  const head = new DataView(new ArrayBuffer(20));
  head.setUint32(4, flags, true);
  head.setUint32(8, time, true);
  return String.fromCharCode(...new Uint8Array(head.buffer));
}
