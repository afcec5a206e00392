/** The files of a tree as the payload check reads them. */
import { closeSync, readSync } from 'node:fs';
import { asByteString, type ByteString } from '#ground/base/byte-string.ts';
import { isCode } from '#ground/base/errors.ts';
import { openEntryFile } from '#ground/linux/tree-read.ts';
import type { Tree, TreeEntry } from '#ground/linux/tree.ts';
import type { FileBytes } from '#formats/elf/file-bytes.ts';
import type { PayloadEntry, PayloadFiles } from '#formats/payload/files.ts';

/** Files are read where they lie; none is read that was not found before. */
export function filesOf(tree: Pick<Tree, 'resolve'>): PayloadFiles {
  const known = new Map<ByteString, TreeEntry>();
  return {
    find(path) {
      const entry = resolved(tree, path);
      if (entry === undefined) return undefined;
      known.set(entry.path, entry);
      const { mode, uid, gid, size } = entry;
      return { path: entry.path, kind: entry.kind === 'file' || entry.kind === 'folder' ? entry.kind : 'other', mode, uid, gid, size };
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

/** What the kernel would find: something below a file, or links in a circle, is nothing. */
function resolved(tree: Pick<Tree, 'resolve'>, path: ByteString): TreeEntry | undefined {
  try {
    return tree.resolve(asByteString(path.slice(1)), true).entry;
  } catch (error) {
    if (isCode(error, 'linux/symlink-loop')) return undefined;
    throw error;
  }
}
