/** Reading and making files in a tree that somebody else changes at the same time. `HOSTILE_ROUNDS=10000` makes the rounds more. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempDisposableSync,
  readFileSync,
  readdirSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { asByteString, fromText } from '#ground/base/byte-string.ts';
import { isCode, systemCode } from '#ground/base/errors.ts';
import { getAttribute, setAttribute } from '#ground/linux/attributes.ts';
import { startOf } from '#ground/base/process-identity.ts';
import { archiveFound } from '#stores/files/archive.ts';
import { openExtraction } from '#stores/files/extract.ts';
import { findFile, openFilesRoot, openProcessRoot, type FilesRoot } from '#stores/files/root.ts';
import { makeBusyboxRoot } from '#test/kit/busybox.ts';
import { makeCanary } from '#test/kit/canary.ts';

const rounds = Number(process.env['HOSTILE_ROUNDS'] ?? 500);
const temporary = () => mkdtempDisposableSync('/tmp/jettison-files-');

/** The tar of what is at a path; empty when nothing is. */
function read(root: FilesRoot, path: string, name: string, follow = false): Uint8Array {
  using found = findFile(root, fromText(path), follow);
  if (found === undefined) return new Uint8Array(0);
  const blocks = [...archiveFound(found, { name: fromText(name), path: fromText(name), isRoot: false })].map((block) => block.slice());
  const bytes = new Uint8Array(blocks.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const block of blocks) {
    bytes.set(block, at);
    at += block.length;
  }
  return bytes;
}

function write(root: FilesRoot, folder: string, tar: Uint8Array, followsLinks: boolean): void {
  using extraction = openExtraction({ root, folder: asByteString(folder), owner: { uid: 0, gid: 0 }, followsLinks });
  extraction.push(tar);
  extraction.finish();
}

test('folders that are swapped for links to the host lead neither a reader nor a writer out', async () => {
  using folder = temporary();
  using canary = makeCanary();
  const root = join(folder.path, 'root');
  mkdirSync(join(root, 'real/folder'), { recursive: true });
  writeFileSync(join(root, 'real/file'), 'inside');
  writeFileSync(join(root, 'real/folder/inner'), 'inside');
  // What a program in a container would do, as fast as it can be done.
  const swap = `
    const { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } = require('node:fs');
    process.chdir(${JSON.stringify(root)});
    symlinkSync(${JSON.stringify(canary.folder)}, 'absolute'); symlinkSync('../../../../../..${canary.folder}', 'climbing');
    console.log('swapping');
    const turn = (name) => {
      try {
        renameSync(name, 'swap'); renameSync('swap', name);
      } catch {
        // The writer has made a folder of that name meanwhile, and may be writing to it.
        try {
          rmSync('swap', { recursive: true, force: true });
          mkdirSync('real/folder', { recursive: true });
          writeFileSync('real/file', 'inside');
        } catch {}
      }
    };
    for (;;) for (const link of ['absolute', 'climbing']) { turn('real'); turn(link); }`;
  const swapper = spawn(process.execPath, ['-e', swap], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(swapper.stdout, 'data');
  const source = openFilesRoot(folder.path);
  mkdirSync(join(folder.path, 'source/folder'), { recursive: true });
  writeFileSync(join(folder.path, 'source/file'), 'written');
  writeFileSync(join(folder.path, 'source/folder/inner'), 'written');
  const tar = read(source, 'source', '.');
  const nested = read(source, 'source', 'swap');
  source[Symbol.dispose]();
  try {
    using opened = openFilesRoot(root);
    let seen = 0;
    for (let round = 0; round < rounds; round++) {
      for (const path of ['swap', 'swap/', 'swap/file', 'swap/folder', '.']) {
        const text = Buffer.from(read(opened, path, 'x', true)).toString('latin1');
        if (text.includes('inside') || text.includes('written')) seen++;
        canary.assertUnread({ text });
      }
      for (const [target, what, follows] of [
        ['swap', tar, true],
        ['', nested, true],
        ['', nested, false],
        ['swap/folder', tar, true],
      ] as const) {
        try {
          write(opened, target, what, follows);
        } catch (error) {
          const usual = ['ENOENT', 'EEXIST', 'ELOOP', 'ENOTDIR', 'EISDIR', 'EXDEV', 'EAGAIN', 'ESTALE'].includes(systemCode(error) ?? '');
          const isTold = ['files/bad-entry', 'files/other-kind', 'files/made-up'].some((code) => isCode(error, code));
          if (!usual && !isTold) throw error;
        }
      }
    }
    assert.ok(seen > 0, 'the reader met the folder');
    canary.assertUnharmed();
  } finally {
    swapper.kill('SIGKILL');
    await once(swapper, 'exit');
  }
});

test('the root of a process is that of its container, and only while it is that process', async () => {
  using folder = temporary();
  const root = join(folder.path, 'root');
  mkdirSync(root);
  makeBusyboxRoot(root);
  symlinkSync('/etc/passwd', join(root, 'link'));
  symlinkSync('/proc/self/root/etc/passwd', join(root, 'magic'));
  const child = spawn('/usr/sbin/chroot', [root, '/bin/sh', '-c', 'echo ready; exec sleep 1000'], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  const pid = child.pid ?? 0;
  const start = startOf(pid) ?? '';
  {
    using opened = openProcessRoot({ pid, start });
    assert.match(Buffer.from(read(opened, 'link', 'x', true)).toString(), /app:x:700/u);
    assert.equal(read(opened, 'magic', 'x', true).length, 0);
    assert.equal(read(opened, '../../etc/hostname', 'x').length, 0, 'there is none in there');
  }
  assert.throws(
    () => openProcessRoot({ pid, start: '1' }),
    (error) => isCode(error, 'files/process-gone'),
  );
  child.kill('SIGKILL');
  await once(child, 'exit');
  assert.throws(
    () => openProcessRoot({ pid, start }),
    (error) => isCode(error, 'files/process-gone'),
  );
});

test('modes, owners, links, times, holes and files that change while they are read', () => {
  using folder = temporary();
  const [from, to] = [join(folder.path, 'from'), join(folder.path, 'to')];
  mkdirSync(join(from, 'deep/er'), { recursive: true });
  mkdirSync(to);
  writeFileSync(join(from, 'set'), 'x', { mode: 0o4755 });
  setAttribute(fromText(join(from, 'set')), 'user.note', Uint8Array.of(1));
  execFileSync('mkfifo', ['-m', '624', join(from, 'pipe')]);
  symlinkSync('nowhere', join(from, 'link'));
  writeFileSync(join(from, 'deep/er/large'), 'begin');
  truncateSync(join(from, 'deep/er/large'), 300 << 20);
  {
    using root = openFilesRoot(folder.path);
    using found = findFile(root, asByteString('from'), false);
    assert.ok(found);
    using extraction = openExtraction({ root, folder: asByteString('to'), owner: 'own', followsLinks: false });
    for (const block of archiveFound(found, { name: asByteString('.'), path: asByteString('.'), isRoot: false })) extraction.push(block);
    assert.equal(extraction.finish(), (300 << 20) + 1);
  }
  const large = statSync(join(to, 'deep/er/large'));
  assert.deepEqual([large.size, large.blocks < 1000], [300 << 20, true]);
  assert.equal(statSync(join(to, 'set')).mode & 0o7777, statSync(join(from, 'set')).mode & 0o7777);
  assert.deepEqual(getAttribute(fromText(join(to, 'set')), 'user.note'), Uint8Array.of(1));
  const pipe = lstatSync(join(to, 'pipe'));
  assert.deepEqual([pipe.isFIFO(), pipe.mode & 0o7777], [true, 0o624]);
  assert.ok(lstatSync(join(to, 'link')).isSymbolicLink());
  assert.equal(Math.floor(statSync(join(to, 'deep')).mtimeMs / 1000), Math.floor(statSync(join(from, 'deep')).mtimeMs / 1000));
  // Shorter by the time that it is read: the archive stays whole.
  using root = openFilesRoot(folder.path);
  using found = findFile(root, asByteString('from/deep'), false);
  assert.ok(found);
  const blocks = archiveFound(found, { name: asByteString('cut'), path: asByteString('cut'), isRoot: false });
  using extraction = openExtraction({ root, folder: asByteString('to'), owner: 'own', followsLinks: false });
  for (let block = blocks.next(), count = 0; block.done !== true; block = blocks.next(), count++) {
    extraction.push(block.value);
    if (count === 0) truncateSync(join(from, 'deep/er/large'), 10);
  }
  extraction.finish();
  assert.equal(statSync(join(to, 'cut/er/large')).size, 300 << 20);
});

test('hostile names in a tar stay in the folder; a folder takes the place of nothing else', async () => {
  using folder = temporary();
  using canary = makeCanary();
  const { encodeHeader, endOfArchive } = await import('#formats/tar/write.ts');
  const entry = (name: string, kind: 'file' | 'folder' | 'symlink' | 'hard-link', linkName = '') =>
    encodeHeader({
      name: asByteString(name),
      kind,
      mode: 0o644,
      uid: 0,
      gid: 0,
      size: 0,
      mtime: 0n,
      linkName: asByteString(linkName),
      device: undefined,
      xattrs: new Map<string, Uint8Array>(),
    });
  const to = join(folder.path, 'to');
  mkdirSync(join(to, 'isfolder'), { recursive: true });
  writeFileSync(join(to, 'isfile'), '');
  using root = openFilesRoot('/');
  const tries: readonly (readonly [string, readonly Uint8Array[], string])[] = [
    ['climbs', [entry('../out', 'file')], 'files/bad-entry'],
    ['climbs inside', [entry('a/../../out', 'file')], 'files/bad-entry'],
    ['through its own link', [entry('l', 'symlink', canary.folder), entry('l/file', 'file')], 'files/bad-entry'],
    ['hard link out', [entry('h', 'hard-link', `../../..${canary.file}`)], 'files/bad-entry'],
    ['hard link through a link', [entry('l2', 'symlink', canary.folder), entry('h', 'hard-link', 'l2/file')], 'files/bad-entry'],
    ['file over folder', [entry('isfolder', 'file')], 'files/other-kind'],
    ['folder over file', [entry('isfile', 'folder')], 'files/other-kind'],
  ];
  for (const [what, parts, code] of tries) {
    assert.throws(
      () => {
        using extraction = openExtraction({ root, folder: asByteString(to.slice(1)), owner: 'own', followsLinks: false });
        for (const part of [...parts, endOfArchive()]) extraction.push(part);
        extraction.finish();
      },
      (error) => isCode(error, code),
      what,
    );
  }
  assert.equal(existsSync(join(folder.path, 'out')), false);
  assert.deepEqual(readdirSync(to).toSorted(), ['isfile', 'isfolder', 'l', 'l2']);
  assert.equal(readFileSync(canary.file, 'utf8'), `${canary.secret}\n`);
  canary.assertUnharmed();
});
