import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempDisposableSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fromText } from '#ground/base/byte-string.ts';
import { getAttribute, setAttribute } from '#ground/linux/attributes.ts';
import { AT_FDCWD, fileTypes, makeNodeAt } from '#ground/linux/syscall.ts';
import { deviceAttribute } from './devices.ts';
import { exportTree, type ExportRequest } from './export.ts';
import { endThreads } from './threads.ts';

const never = new AbortController().signal;
const needsRoot = { skip: process.getuid?.() !== 0 };
const everything = fromText('');
after(endThreads);

/** Two layers: the upper one has deleted a file of the lower one. */
function tempChain(): Disposable & { readonly path: string; readonly folders: readonly string[]; readonly out: string } {
  const made = mkdtempDisposableSync(join(tmpdir(), 'jettison-export-'));
  const [lower, upper] = [join(made.path, 'lower'), join(made.path, 'upper')];
  mkdirSync(join(lower, 'bin'), { recursive: true });
  mkdirSync(upper);
  writeFileSync(join(lower, 'bin/tool'), 'tool');
  chmodSync(join(lower, 'bin/tool'), 0o4751);
  utimesSync(join(lower, 'bin/tool'), 1000.25, 1000.25);
  linkSync(join(lower, 'bin/tool'), join(lower, 'same'));
  symlinkSync('bin/tool', join(lower, 'link'));
  symlinkSync('/bin', join(lower, 'folder'));
  utimesSync(join(lower, 'bin'), 2000, 2000);
  chmodSync(join(lower, 'bin'), 0o1750);
  writeFileSync(join(lower, 'gone'), 'gone');
  truncateSync(join(lower, 'gone'), 0);
  setAttribute(fromText(join(lower, 'same')), 'user.mine', new Uint8Array([1, 200]));
  makeNodeAt(AT_FDCWD, fromText(join(lower, 'pipe')), { type: fileTypes.fifo, mode: 0o644 });
  writeFileSync(join(upper, 'new'), 'new');
  if (process.getuid?.() === 0) makeNodeAt(AT_FDCWD, fromText(join(upper, 'gone')), { type: fileTypes.character, mode: 0 });
  return { path: made.path, folders: [upper, lower], out: join(made.path, 'deep/out'), [Symbol.dispose]: () => made.remove() };
}

type Wish = Omit<ExportRequest, 'path' | 'parts'> & Partial<Pick<ExportRequest, 'path'>> & { readonly folders: readonly string[] };

const run = async ({ folders, ...request }: Wish, signal = never) =>
  await exportTree({ path: everything, parts: [{ folders }], ...request }, () => undefined, signal);

test(
  'a folder gets the tree as it is: modes, times, names of one file, links, attributes; it belongs to whoever asked',
  needsRoot,
  async () => {
    using chain = tempChain();
    chownSync(join(chain.folders[1] ?? '', 'bin/tool'), 1234, 5678);
    chmodSync(join(chain.folders[1] ?? '', 'bin/tool'), 0o4751);
    const done = await run({ folders: chain.folders, to: { kind: 'folder', path: chain.out } });
    assert.deepEqual(done, { entries: 7, size: 7, segments: 0 });
    assert.deepEqual(readdirSync(chain.out).toSorted(), ['bin', 'folder', 'link', 'new', 'pipe', 'same']);
    const tool = lstatSync(join(chain.out, 'bin/tool'));
    assert.deepEqual([tool.mode & 0o7777, tool.uid, tool.gid, tool.mtimeMs, tool.nlink], [0o4751, 0, 0, 1000250, 2]);
    assert.equal(lstatSync(join(chain.out, 'same')).ino, tool.ino);
    assert.deepEqual(getAttribute(fromText(join(chain.out, 'same')), 'user.mine'), new Uint8Array([1, 200]));
    const bin = lstatSync(join(chain.out, 'bin'));
    assert.deepEqual([bin.mode & 0o7777, bin.mtimeMs], [0o1750, 2_000_000]);
    assert.equal(readlinkSync(join(chain.out, 'link')), 'bin/tool');
    assert.ok(lstatSync(join(chain.out, 'pipe')).isFIFO());
  },
);

test('what is there is replaced, and no link in the folder is followed', async () => {
  using chain = tempChain();
  const outside = join(chain.path, 'outside');
  mkdirSync(join(outside, 'kept'), { recursive: true });
  writeFileSync(join(outside, 'new'), 'theirs');
  mkdirSync(join(chain.out, 'link'), { recursive: true });
  symlinkSync(outside, join(chain.out, 'bin'));
  symlinkSync(join(outside, 'new'), join(chain.out, 'new'));
  writeFileSync(join(chain.out, 'folder'), 'a file where a link comes');
  writeFileSync(join(chain.out, 'mine'), 'mine');
  await run({ folders: chain.folders, to: { kind: 'folder', path: chain.out } });
  await run({ folders: chain.folders, to: { kind: 'folder', path: chain.out } });
  assert.deepEqual(readdirSync(outside).toSorted(), ['kept', 'new']);
  assert.equal(readFileSync(join(outside, 'new'), 'utf8'), 'theirs');
  assert.ok(lstatSync(join(chain.out, 'bin')).isDirectory());
  assert.ok(lstatSync(join(chain.out, 'new')).isFile());
  assert.equal(readlinkSync(join(chain.out, 'link')), 'bin/tool');
  assert.equal(readFileSync(join(chain.out, 'mine'), 'utf8'), 'mine');
  assert.deepEqual(
    readdirSync(chain.out).filter((name) => name.endsWith('.tmp')),
    [],
  );
});

test('a folder with something in it gives no way to a file', async () => {
  using chain = tempChain();
  mkdirSync(join(chain.out, 'new/mine'), { recursive: true });
  await assert.rejects(run({ folders: chain.folders, to: { kind: 'folder', path: chain.out } }), {
    code: 'layer/folder-in-the-way',
    message: /^"new" is a folder/u,
  });
  assert.deepEqual(readdirSync(join(chain.out, 'new')), ['mine']);
  assert.ok(!readdirSync(chain.out).some((name) => name.endsWith('.tmp')));
});

test('a file in the place of the folder, or on the way to it, is not touched', async () => {
  using chain = tempChain();
  const file = join(chain.path, 'file');
  writeFileSync(file, 'mine');
  for (const path of [file, join(file, 'deeper')]) {
    await assert.rejects(run({ folders: chain.folders, to: { kind: 'folder', path } }), { code: 'layer/not-a-folder' });
  }
  assert.equal(readFileSync(file, 'utf8'), 'mine');
});

test('what is made in a setgid folder belongs to whoever asked all the same', needsRoot, async () => {
  using chain = tempChain();
  mkdirSync(chain.out, { recursive: true });
  chownSync(chain.out, 0, 777);
  chmodSync(chain.out, 0o2775);
  await run({ folders: chain.folders, to: { kind: 'folder', path: chain.out } });
  for (const name of ['new', 'bin', 'bin/tool', 'link', 'pipe']) assert.equal(lstatSync(join(chain.out, name)).gid, 0, name);
});

test('a path takes a part: the content of a folder, or one file under the name that was asked for', async () => {
  using chain = tempChain();
  const to = (name: string) => ({ kind: 'folder', path: join(chain.out, name) }) as const;
  await run({ folders: chain.folders, path: fromText('/folder/'), to: to('a') });
  assert.deepEqual(readdirSync(join(chain.out, 'a')), ['tool']);
  await run({ folders: chain.folders, path: fromText('link'), to: to('b') });
  assert.deepEqual(readdirSync(join(chain.out, 'b')), ['link']);
  assert.equal(readFileSync(join(chain.out, 'b/link'), 'utf8'), 'tool');
  await assert.rejects(run({ folders: chain.folders, path: fromText('bin/none'), to: to('c') }), { code: 'layer/nothing-there' });
  assert.ok(!existsSync(join(chain.out, 'c')));
});

test('a tar: the same bytes each time, with owners; a time for everything; an empty one of no tree', async () => {
  using chain = tempChain();
  const file = (name: string): string => join(chain.path, name);
  const write = async (name: string, more: Partial<Wish> = {}) => {
    await run({ folders: chain.folders, to: { kind: 'tar', file: file(name), passes: false }, ...more });
    return readFileSync(file(name));
  };
  const first = await write('1.tar');
  assert.deepEqual(await write('2.tar'), first);
  const names = execFileSync('tar', ['-tf', file('1.tar')], { encoding: 'utf8' });
  assert.match(names, /^bin\/\nbin\/tool\nfolder\n(?:gone\n)?link\nnew\npipe\nsame\n$/u);
  await write('3.tar', { time: 5_000_000_000n, path: fromText('bin') });
  assert.match(execFileSync('tar', ['--full-time', '--utc', '-tvf', file('3.tar')], { encoding: 'utf8' }), /1970-01-01 00:00:05/u);
  assert.equal((await write('4.tar', { folders: [] })).length, 1024);
});

test('a file that stands for a device is one in a tar, and in a folder only root makes one', async () => {
  using chain = tempChain();
  const folder = join(chain.path, 'devices');
  mkdirSync(join(folder, 'dev'), { recursive: true });
  writeFileSync(join(folder, 'dev/null'), '');
  setAttribute(fromText(join(folder, 'dev/null')), deviceAttribute, new TextEncoder().encode('1:3'));
  await run({ folders: [folder], to: { kind: 'tar', file: join(chain.path, 'd.tar'), passes: false } });
  assert.match(execFileSync('tar', ['-tvf', join(chain.path, 'd.tar')], { encoding: 'utf8' }), /^crw.*1,3 .*dev\/null$/mu);
  const filled = run({ folders: [folder], to: { kind: 'folder', path: chain.out } });
  if (process.getuid?.() !== 0) return await assert.rejects(filled, { code: 'layer/device-refused' });
  await filled;
  assert.equal(lstatSync(join(chain.out, 'dev/null')).rdev, 0x103);
});

test('an end asked for leaves no tar', async () => {
  using chain = tempChain();
  writeFileSync(join(chain.folders[0] ?? '', 'large'), '');
  truncateSync(join(chain.folders[0] ?? '', 'large'), 2 ** 36);
  const own = new AbortController();
  const writing = run({ folders: chain.folders, to: { kind: 'tar', file: join(chain.path, 'l.tar'), passes: false } }, own.signal);
  setTimeout(() => own.abort(new Error('enough')), 30);
  await assert.rejects(writing, { message: 'enough' });
  assert.ok(!existsSync(join(chain.path, 'l.tar')));
});
