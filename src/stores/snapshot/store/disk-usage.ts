/** Bytes on disk of a tree that does not change; a file with several names in it counts once. */
import { readdirSync } from 'node:fs';
import { asByteString, nodePath, type ByteString } from '#ground/base/byte-string.ts';
import { lookAt } from '#ground/linux/tree-read.ts';

const blockSize = 512n;

export function diskUsage(root: ByteString): number {
  const seen = new Set<bigint>();
  const waiting = [root];
  let blocks = 0n;
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    const stats = lookAt(path);
    if (!stats || (stats.nlink > 1n && !stats.isDirectory() && seen.has(stats.ino))) continue;
    seen.add(stats.ino);
    blocks += stats.blocks;
    if (stats.isDirectory()) for (const name of readdirSync(nodePath(path), 'latin1')) waiting.push(asByteString(`${path}/${name}`));
  }
  return Number(blocks * blockSize);
}
