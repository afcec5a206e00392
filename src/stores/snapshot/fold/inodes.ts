/** The names that each file of a layer has in it: a file's own count has those in other snapshots, too. */
import { readdirSync } from 'node:fs';
import { asByteString, fromText, nodePath, type ByteString } from '#ground/base/byte-string.ts';
import { inside, lookFor } from './meet.ts';

/** Names of each inode that has several, wherever they are. Walks the whole layer, once it is asked. */
export type LayerInodes = (inode: bigint) => readonly ByteString[];

export function inodesOf(folder: string): LayerInodes {
  let known: ReadonlyMap<bigint, readonly ByteString[]> | undefined;
  return (inode) => (known ??= readInodes(fromText(folder))).get(inode) ?? [];
}

function readInodes(folder: ByteString): ReadonlyMap<bigint, readonly ByteString[]> {
  const names = new Map<bigint, ByteString[]>();
  const waiting: { readonly path: ByteString; readonly hostPath: ByteString }[] = [{ path: asByteString(''), hostPath: folder }];
  for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
    for (const name of readdirSync(nodePath(at.hostPath), 'latin1')) {
      const path = inside(at.path, name);
      const found = lookFor(inside(at.hostPath, name), 0);
      if (found?.kind === 'folder') waiting.push({ path, hostPath: found.hostPath });
      else if (found?.kind === 'other' && found.stats.nlink > 1n) {
        const others = names.get(found.stats.ino);
        if (others === undefined) names.set(found.stats.ino, [path]);
        else others.push(path);
      }
    }
  }
  return names;
}
