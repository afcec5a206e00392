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
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fromText } from '#ground/base/byte-string.ts';
import { setAttribute } from '#ground/linux/attributes.ts';
import { dropUnchanged } from './unchanged.ts';

const now = BigInt(Date.now()) * 1_000_000n;

function put(folder: string, path: string, text: string, time = 1000): void {
  const file = join(folder, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
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
    dropUnchanged(upper, () => [lower], now);
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
    dropUnchanged(upper, () => [lower], now);
    for (const name of ['bytes', 'mode', 'owner', 'attribute', 'time', 'new']) assert.ok(existsSync(join(upper, name)), name);
  });
});

test('a file in a folder that was made anew stays: below it nothing shows through', () => {
  withFolders((upper, lower) => {
    put(lower, 'd/f', 'a');
    put(upper, 'd/f', 'a');
    setAttribute(fromText(join(upper, 'd')), 'trusted.overlay.opaque', new Uint8Array([0x79]));
    dropUnchanged(upper, () => [lower], now);
    assert.ok(existsSync(join(upper, 'd/f')));
  });
});
