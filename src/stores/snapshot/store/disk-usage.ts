/**
 * Bytes on disk of snapshots, files with several names counted once: COPY --from links what it takes, so one file may stand in many snapshots. It counts
 * for the oldest of those measured together; where some names are in none of these, it counted for an older one before.
 */
import { readdirSync } from 'node:fs';
import { asByteString, fromText, nodePath, type ByteString } from '#ground/base/byte-string.ts';
import { systemCode } from '#ground/base/errors.ts';
import { lookAt } from '#ground/linux/tree-read.ts';
import type { SnapshotSize } from '../contract.ts';

const blockSize = 512n;

/** A file with several names: the trees in which they were seen, and how many are still to be seen. */
type Shared = { readonly trees: Set<string>; readonly bytes: number; links: bigint };

/** Sizes by name of tree; `trees`: names and real paths, oldest first. What vanishes meanwhile counts nothing. */
export function diskUsage(trees: ReadonlyMap<string, string>): ReadonlyMap<string, SnapshotSize> {
  const sizes = new Map<string, { bytes: number; linked: number }>();
  const shared = new Map<bigint, Shared>();
  for (const [tree, folder] of trees) sizes.set(tree, { bytes: measureTree(tree, fromText(folder), shared), linked: 0 });
  for (const { trees: holders, bytes, links } of shared.values()) {
    for (const [index, holder] of [...holders].entries()) {
      const size = sizes.get(holder);
      if (size !== undefined) size[links === 0n && index === 0 ? 'bytes' : 'linked'] += bytes;
    }
  }
  return sizes;
}

/** Gives the bytes of what has one name; the rest goes into `shared`. */
function measureTree(tree: string, root: ByteString, shared: Map<bigint, Shared>): number {
  const waiting = [root];
  let blocks = 0n;
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    const stats = lookAt(path);
    if (!stats) continue;
    if (stats.isDirectory()) {
      blocks += stats.blocks;
      for (const name of namesIn(path)) waiting.push(asByteString(`${path}/${name}`));
    } else if (stats.nlink === 1n) blocks += stats.blocks;
    else {
      const known = shared.get(stats.ino) ?? { trees: new Set(), bytes: Number(stats.blocks * blockSize), links: stats.nlink };
      known.trees.add(tree);
      known.links--;
      shared.set(stats.ino, known);
    }
  }
  return Number(blocks * blockSize);
}

function namesIn(path: ByteString): readonly string[] {
  try {
    return readdirSync(nodePath(path), 'latin1');
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
    return [];
  }
}
