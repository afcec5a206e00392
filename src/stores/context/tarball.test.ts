import assert from 'node:assert/strict';
import { lstatSync, mkdtempSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { asByteString, fromText } from '#ground/base/byte-string.ts';
import { noAttributes, type TarEntry } from '#formats/tar/entry.ts';
import { encodeHeader, endOfArchive, paddingOf } from '#formats/tar/write.ts';
import { packingOf, unpackContext } from './tarball.ts';

type Given = Partial<Omit<TarEntry, 'name' | 'linkName'>> & { readonly name: string; readonly linkName?: string; readonly text?: string };

function archive(entries: readonly Given[]): Uint8Array {
  const parts = entries.flatMap(({ name, linkName = '', text = '', ...rest }) => {
    const size = text.length;
    const entry = {
      kind: 'file',
      mode: 0o644,
      uid: 1000,
      gid: 1000,
      mtime: 1_500_000_000_000_000_000n,
      device: undefined,
      xattrs: noAttributes,
      ...rest,
    } as const;
    return [
      encodeHeader({ ...entry, size, name: fromText(name), linkName: asByteString(linkName) }),
      new TextEncoder().encode(text),
      new Uint8Array(paddingOf(size)),
    ];
  });
  return new Uint8Array([...parts, endOfArchive()].flatMap((part) => [...part]));
}

async function unpacked(bytes: Uint8Array, look: (folder: string) => void): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'jettison-tarball-'));
  const chunks = async function* (): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += 700) yield bytes.slice(at, at + 700);
  };
  try {
    await unpackContext({ chunks: chunks(), packing: packingOf(bytes.subarray(0, 512)) ?? 'tar' }, folder, new AbortController().signal);
    look(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('files, folders, links, modes and times arrive, packed or not', async () => {
  const bytes = archive([
    { name: './d', kind: 'folder', mode: 0o500 },
    { name: 'd/f', text: 'text', mode: 0o4755 },
    { name: '../../up', text: 'stays inside' },
    { name: 'link', kind: 'symlink', linkName: '/etc/passwd' },
    { name: 'again', kind: 'hard-link', linkName: './d/f' },
    { name: 'd/f', text: 'newer' },
    { name: 'twice', kind: 'folder', mode: 0o700 },
    { name: 'twice', kind: 'folder', mode: 0o711 },
  ]);
  for (const each of [bytes, gzipSync(bytes)]) {
    await unpacked(each, (folder) => {
      assert.equal(readFileSync(join(folder, 'd/f'), 'utf8'), 'newer');
      assert.equal(readFileSync(join(folder, 'again'), 'utf8'), 'text');
      assert.equal(readFileSync(join(folder, 'up'), 'utf8'), 'stays inside');
      assert.equal(statSync(join(folder, 'd')).mode & 0o7777, 0o500);
      assert.equal(statSync(join(folder, 'twice')).mode & 0o7777, 0o711);
      assert.equal(statSync(join(folder, 'again')).mode & 0o7777, 0o4755);
      assert.equal(statSync(join(folder, 'd')).mtimeMs, 1_500_000_000_000);
      assert.equal(readlinkSync(join(folder, 'link')), '/etc/passwd');
      assert.equal(lstatSync(join(folder, 'link')).mtimeMs, 1_500_000_000_000);
    });
  }
});

test('nothing is written through a link, and what a context cannot have is refused', async () => {
  const refuse = async (entries: readonly Given[]): Promise<void> =>
    await assert.rejects(
      unpacked(archive(entries), () => undefined),
      { code: 'context/bad-archive' },
    );
  await refuse([
    { name: 'd', kind: 'symlink', linkName: tmpdir() },
    { name: 'd/escaped', text: 'x' },
  ]);
  await refuse([
    { name: 'f', kind: 'symlink', linkName: '/etc/passwd' },
    { name: 'g', kind: 'hard-link', linkName: 'f' },
  ]);
  await refuse([{ name: 'g', kind: 'hard-link', linkName: '/etc/passwd' }]);
  await refuse([
    { name: 'f', text: 'x' },
    { name: 'f', kind: 'hard-link', linkName: 'f' },
  ]);
  await refuse([{ name: 'f', kind: 'symlink', linkName: '' }]);
  await refuse([{ name: `f${'o'.repeat(300)}`, text: 'x' }]);
  await refuse([{ name: 'null', kind: 'character-device', device: { major: 1, minor: 3 } }]);
  await refuse([
    { name: 'd', kind: 'folder' },
    { name: 'd', text: 'x' },
  ]);
  await unpacked(
    archive([
      { name: 'f', kind: 'symlink', linkName: '/etc/passwd' },
      { name: 'f', text: 'x' },
    ]),
    (folder) => assert.equal(lstatSync(join(folder, 'f')).isFile(), true),
  );
});

test('what is no archive is known by its first bytes', () => {
  assert.equal(packingOf(new TextEncoder().encode('FROM scratch\n')), undefined);
  assert.equal(packingOf(archive([{ name: 'f' }]).subarray(0, 512)), 'tar');
  assert.equal(packingOf(new Uint8Array(512)), 'tar');
});
