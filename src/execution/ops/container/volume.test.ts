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
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { isCode } from '#ground/base/errors.ts';
import { openVolume } from './volume.ts';

const never = new AbortController().signal;
const isRoot = process.getuid?.() === 0;

/** A volume's folder, and a root with files in /data. */
function open(context: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'jettison-volume-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const [volume, rootfs] = [join(folder, 'volume'), join(folder, 'root')];
  mkdirSync(volume);
  mkdirSync(join(rootfs, 'data/sub'), { recursive: true });
  writeFileSync(join(rootfs, 'data/sub/file'), 'text');
  return { folder, volume, rootfs, source: { rootfs, target: '/data' } };
}

test('an empty volume gets what the image has: owners, modes, times, links, setuid', (context) => {
  const { volume, rootfs, source } = open(context);
  const data = join(rootfs, 'data');
  linkSync(join(data, 'sub/file'), join(data, 'other'));
  symlinkSync('sub/file', join(data, 'link'));
  if (isRoot) {
    chownSync(join(data, 'sub/file'), 1000, 1001);
    chownSync(data, 1000, 1000);
  }
  chmodSync(join(data, 'sub/file'), 0o4751);
  chmodSync(data, 0o2770);
  utimesSync(join(data, 'sub'), 1000, 2000);
  const made = openVolume(volume, source, never);
  assert.equal(made, join(volume, '_data'));
  const file = statSync(join(made, 'sub/file'));
  assert.deepEqual([file.mode & 0o7777, file.nlink, readFileSync(join(made, 'other'), 'utf8')], [0o4751, 2, 'text']);
  if (isRoot) assert.deepEqual([file.uid, file.gid, statSync(made).uid], [1000, 1001, 1000]);
  assert.equal(statSync(made).mode & 0o7777, 0o2770);
  assert.equal(readlinkSync(join(made, 'link')), 'sub/file');
  assert.equal(statSync(join(made, 'sub')).mtimeMs, 2_000_000);
  assert.deepEqual(readdirSync(volume).toSorted(), ['_data', 'lock']);
});

test('one that has something, or is to stay empty, gets nothing', (context) => {
  const { volume, source } = open(context);
  const data = openVolume(volume, undefined, never);
  assert.deepEqual(readdirSync(data), []);
  writeFileSync(join(data, 'mine'), '');
  openVolume(volume, source, never);
  assert.deepEqual(readdirSync(data), ['mine']);
});

test('a failure leaves nothing half filled; what was whole when its process died is moved in later', (context) => {
  const { volume, source } = open(context);
  const stopped = AbortSignal.abort(new Error('stopped'));
  assert.throws(() => openVolume(volume, source, stopped), /stopped/);
  assert.deepEqual(readdirSync(volume).toSorted(), ['_data', 'lock']);
  assert.deepEqual(readdirSync(join(volume, '_data')), []);
  mkdirSync(join(volume, 'draft'));
  writeFileSync(join(volume, 'draft/part'), '');
  openVolume(volume, undefined, never);
  assert.deepEqual(readdirSync(join(volume, '_data')), []);
  mkdirSync(join(volume, 'full'));
  writeFileSync(join(volume, 'full/a'), '');
  writeFileSync(join(volume, '_data/b'), '');
  openVolume(volume, source, never);
  assert.deepEqual(readdirSync(join(volume, '_data')).toSorted(), ['a', 'b']);
  assert.equal(existsSync(join(volume, 'full')), false);
});

test('a volume on a file is refused; where the image has nothing it is empty', (context) => {
  const { volume, rootfs } = open(context);
  assert.throws(
    () => openVolume(volume, { rootfs, target: '/data/sub/file' }, never),
    (error) => isCode(error, 'ops/volume-over-file'),
  );
  assert.deepEqual(readdirSync(openVolume(volume, { rootfs, target: '/none' }, never)), []);
});

test('CVE-2022-23648: a place that climbs or is a link leads to the image; links in it are copied, and not followed', (context) => {
  const { folder, volume, rootfs } = open(context);
  mkdirSync(join(folder, 'canary'));
  writeFileSync(join(folder, 'canary/secret'), 'secret');
  symlinkSync(join(folder, 'canary'), join(rootfs, 'way'));
  symlinkSync(join(folder, 'canary'), join(rootfs, 'data/inner'));
  symlinkSync('/data', join(rootfs, 'fine'));
  for (const target of ['/../../canary', '/way', `/../..${folder}/canary`]) {
    assert.deepEqual(readdirSync(openVolume(volume, { rootfs, target }, never)), [], target);
  }
  const data = openVolume(volume, { rootfs, target: '/fine' }, never);
  assert.deepEqual(readdirSync(data).toSorted(), ['inner', 'sub']);
  assert.ok(lstatSync(join(data, 'inner')).isSymbolicLink());
});
