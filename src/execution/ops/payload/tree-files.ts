/** The files of a tree as the payload check reads them. */
import { closeSync, readSync } from 'node:fs';
import { asByteString, type ByteString } from '#ground/base/byte-string.ts';
import { openEntryFile } from '#ground/linux/tree-read.ts';
import type { Tree, TreeEntry } from '#ground/linux/tree.ts';
import type { FileBytes } from '#formats/elf/file-bytes.ts';
import type { PayloadEntry, PayloadFiles } from '#formats/payload/files.ts';

/** Files are read where they lie; none is read that was not found before. */
export function filesOf(tree: Pick<Tree, 'entry'>): PayloadFiles {
  const known = new Map<ByteString, TreeEntry>();
  return {
    find(path) {
      const found = walk(tree, path);
      if (found === undefined) return undefined;
      const { entry, passed } = found;
      known.set(entry.path, entry);
      const { mode, uid, gid, size } = entry;
      const kind = entry.kind === 'file' || entry.kind === 'folder' ? entry.kind : 'other';
      return { path: entry.path, kind, mode, uid, gid, size, passed };
    },
    use<T>({ path }: PayloadEntry, read: (bytes: FileBytes) => T): T {
      const entry = known.get(path);
      if (entry?.kind !== 'file') return read({ size: 0, read: () => new Uint8Array(0) });
      const file = openEntryFile(entry);
      try {
        return read({
          size: entry.size,
          read(offset, length) {
            const bytes = new Uint8Array(Math.max(0, Math.min(length, entry.size - offset)));
            return bytes.subarray(0, readSync(file, bytes, 0, bytes.length, offset));
          },
        });
      } finally {
        closeSync(file);
      }
    },
  };
}

/** Links that the kernel follows in one path (fs/namei.c, MAXSYMLINKS). */
const mostLinks = 40;

/** path_resolution(7) inside the tree: what is behind a missing folder, a file or too many links is nothing, even where `..` leads out of there again. */
function walk(
  tree: Pick<Tree, 'entry'>,
  path: ByteString,
): { readonly entry: TreeEntry; readonly passed: readonly ByteString[] } | undefined {
  const rest = path.split('/').toReversed();
  const passed = new Set<ByteString>();
  let real: readonly string[] = [];
  let here = tree.entry(pathOf([]));
  let links = 0;
  for (let name = rest.pop(); name !== undefined; name = rest.pop()) {
    if (here?.kind !== 'folder') return undefined;
    if (name === '') continue;
    passed.add(pathOf(real));
    if (name === '.') continue;
    const next = name === '..' ? real.slice(0, -1) : [...real, name];
    const entry = tree.entry(pathOf(next));
    if (entry?.target === undefined) {
      [real, here] = [next, entry];
      continue;
    }
    if (++links > mostLinks) return undefined;
    rest.push(...entry.target.split('/').toReversed());
    if (entry.target.startsWith('/')) [real, here] = [[], tree.entry(pathOf([]))];
  }
  if (here === undefined) return undefined;
  return { entry: here, passed: [...passed] };
}

function pathOf(names: readonly string[]): ByteString {
  return asByteString(names.join('/'));
}
