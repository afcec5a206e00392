/** Proof that files are still those that were hashed, without reading them again. */
import { createDigester, type Digest } from '#ground/base/digest.ts';
import type { TreeEntry } from '#ground/linux/tree.ts';

/**
 * A digest of entries that is the same only while the entries are the same inodes, unchanged: whoever copies what somebody else hashed compares it
 * before and after. Folders count by name and mode alone. Owners do not: what is copied from a client is root's, and who compares may see them as other ids.
 */
export function fingerprint(entries: Iterable<TreeEntry>): Digest {
  const print = createFingerprint();
  for (const entry of entries) print.add(entry);
  return print.finish();
}

export type Fingerprint = { add(entry: TreeEntry): void; finish(): Digest };

/** The same for entries that come one by one. */
export function createFingerprint(): Fingerprint {
  const digester = createDigester();
  let batch: string[] = [];
  return {
    add({ path, kind, mode, ...rest }) {
      const inode = kind === 'folder' ? [] : [rest.inode, rest.size, rest.mtime, rest.ctime, rest.fileSystem];
      // A name holds no NUL, and the number of fields follows from the kind.
      batch.push(`${[path, kind, mode, ...inode].join('\0')}\0`);
      if (batch.length < batchLength) return;
      digester.update(batch.join(''));
      batch = [];
    },
    finish() {
      digester.update(batch.join(''));
      return digester.finish();
    },
  };
}

const batchLength = 256;
