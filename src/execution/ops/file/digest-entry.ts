/** The digest of a file's bytes, read once in big pieces. */
import { readSync } from 'node:fs';
import { createDigester, type Digest } from '#ground/base/digest.ts';
import { closeFile } from '#ground/linux/syscall.ts';
import type { TreeEntry } from '#ground/linux/tree.ts';
import type { Source } from './source.ts';

const buffer = new Uint8Array(1024 * 1024);

export function digestEntry(source: Source, entry: TreeEntry): Digest {
  const file = source.open(entry);
  try {
    const digester = createDigester();
    for (;;) {
      const length = readSync(file, buffer);
      if (length === 0) break;
      digester.update(buffer.subarray(0, length));
      if (length === entry.size) break;
    }
    source.check(file, entry);
    return digester.finish();
  } finally {
    closeFile(file);
  }
}
