import { statfsSync } from 'node:fs';
import { openChainTree } from '../chain-tree.ts';
import { findChanges, type Changes } from './changes.ts';
import type { FolderRecord } from './record.ts';
import { toText, type ByteString } from '#ground/base/byte-string.ts';

/**
 * linux/magic.h: tmpfs and ramfs. What is written through a mapping of a file there shows in no time of it when the page was read through that mapping before (seen with 6.18):
 * mmap(2) promises no more than that it shows at some time between the write and msync(2).
 */
const silentFileSystems = new Set([0x01021994, 0x858458f6]);

/** What was changed in the copied tree `root` since `record`; `layers` are the folders that it was copied from, topmost first. Gives way as `findChanges` does. */
export function* compareTree(
  root: ByteString,
  { record, layers }: { readonly record: FolderRecord; readonly layers: readonly string[] },
): Generator<void, Changes, void> {
  const comparesBytes = silentFileSystems.has(statfsSync(toText(root)).type);
  return yield* findChanges({ root, source: openChainTree(layers), comparesBytes }, record);
}
