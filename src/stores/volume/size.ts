/** What a volume takes up. */
import { join } from 'node:path';
import { treeBytes } from '#ground/linux/tree-size.ts';

/** Bytes of all files below the folder of a volume: see `treeBytes`. */
export function volumeBytes(folder: string): number {
  return treeBytes(join(folder, '_data'));
}
