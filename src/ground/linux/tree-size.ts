/** How long the files of a tree are. */
import { lstatSync, readdirSync, type BigIntStats } from 'node:fs';
import { asByteString, fromText, nodePath, type ByteString } from '#ground/base/byte-string.ts';
import { systemCode } from '#ground/base/errors.ts';

/** Bytes of all files below a folder, one of several names counted once; no link is followed. What goes away meanwhile is not counted, nor what lies deeper than a path can say. */
export function treeBytes(folder: string): number {
  const seen = new Set<string>();
  const waiting: ByteString[] = [fromText(folder)];
  let bytes = 0;
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    for (const name of namesIn(path)) {
      const inner = asByteString(`${path}/${name}`);
      const stats = look(inner);
      if (stats === undefined) continue;
      if (stats.isDirectory()) waiting.push(inner);
      else if (isNew(seen, stats)) bytes += Number(stats.size);
    }
  }
  return bytes;
}

function isNew(seen: Set<string>, { nlink, dev, ino }: BigIntStats): boolean {
  if (nlink < 2n) return true;
  const key = `${dev} ${ino}`;
  if (seen.has(key)) return false;
  seen.add(key);
  return true;
}

function look(path: ByteString): BigIntStats | undefined {
  try {
    return lstatSync(nodePath(path), { bigint: true, throwIfNoEntry: false });
  } catch (error) {
    if (systemCode(error) === 'ENAMETOOLONG') return undefined;
    throw error;
  }
}

function namesIn(folder: ByteString): readonly string[] {
  try {
    return readdirSync(nodePath(folder), 'latin1');
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'EACCES', 'ENAMETOOLONG'].includes(systemCode(error) ?? '')) return [];
    throw error;
  }
}
