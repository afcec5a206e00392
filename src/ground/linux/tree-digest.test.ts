import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asByteString } from '#ground/base/byte-string.ts';
import { digestOf } from '#ground/base/digest.ts';
import { createLineMaker, digestLines, type TreeDigestOptions } from './tree-digest.ts';
import type { TreeEntry } from './tree.ts';

const file: TreeEntry = {
  path: asByteString('f'),
  kind: 'file',
  mode: 0o644,
  uid: 1,
  gid: 2,
  size: 1,
  mtime: 5n,
  inode: 10,
  links: 1,
  device: undefined,
  target: undefined,
  hostPath: asByteString('/nowhere/f'),
  layer: 0,
};
const options: TreeDigestOptions = { digestFile: (entry) => digestOf(`bytes of ${entry.inode}`), owners: 'kept' };

function lines(entries: readonly TreeEntry[], more: Partial<TreeDigestOptions> = {}): readonly string[] {
  const line = createLineMaker({ ...options, ...more });
  return entries.map((entry) => line(entry.path, entry));
}

test('everything but times and places on the host changes the line', () => {
  const [plain] = lines([file]);
  const same = { ...file, mtime: 6n, hostPath: asByteString('/else/f') };
  assert.deepEqual(lines([same]), [plain]);
  const others: readonly Partial<TreeEntry>[] = [
    { path: asByteString('g') },
    { kind: 'fifo' },
    { mode: 0o755 },
    { uid: 3 },
    { gid: 3 },
    { inode: 11 },
    { kind: 'symlink', target: asByteString('x') },
    { kind: 'character-device', device: { major: 1, minor: 3 } },
  ];
  const seen = new Set([plain, ...others.map((other) => lines([{ ...file, ...other }])[0])]);
  assert.equal(seen.size, others.length + 1);
  assert.notEqual(lines([file], { xattrs: () => new Map([['user.a', new Uint8Array([1])]]) })[0], plain);
});

test("owners of a folder of the client count as root's", () => {
  assert.deepEqual(lines([file], { owners: 'root' }), lines([{ ...file, uid: 0, gid: 0 }]));
});

test('a file with two names is told from two equal files', () => {
  const names = [file, { ...file, path: asByteString('g') }];
  const linked = lines(names.map((entry) => ({ ...entry, links: 2 })));
  assert.notDeepEqual(linked, lines(names));
  assert.deepEqual(lines([{ ...file, links: 2 }]), lines([file]), 'a second name elsewhere does not count');
  const layers = lines([file, { ...file, path: asByteString('g'), layer: 1 }].map((entry) => ({ ...entry, links: 2 })));
  assert.deepEqual(layers, lines(names), 'nor does the same inode in another layer');
  const mounted = lines([1n, 2n].map((fileSystem) => ({ ...file, links: 2, fileSystem })));
  assert.equal(mounted[1], mounted[0], 'nor in another file system');
  const inexact = lines(names.map((entry) => ({ ...entry, links: 2, inode: 2 ** 53 })));
  assert.ok(
    inexact.every((line) => !line.includes('=')),
    'a number that may be that of two inodes',
  );
});

test('lines cannot be shifted into each other, however many', () => {
  assert.notEqual(digestLines(['a', 'b']), digestLines(['a\nb']));
  assert.notEqual(digestLines(['a', 'b']), digestLines(['ab']));
  const many = Array.from({ length: 5000 }, (_, index) => `${index}`);
  assert.notEqual(digestLines(many), digestLines(many.slice(1)));
  assert.equal(digestLines(many), digestLines(many.values()));
});
