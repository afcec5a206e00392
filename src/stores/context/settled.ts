/** May a file be written to again without a visible change of its times? Then what was read of it holds for now only (https://git-scm.com/docs/racy-git). */
import { statfsSync } from 'node:fs';
import { nodePath } from '#ground/base/byte-string.ts';
import { systemCode } from '#ground/base/errors.ts';
import type { TreeEntry } from '#ground/linux/tree.ts';

/**
 * File systems of this machine's own kernel that keep nanoseconds (linux/magic.h; zfs and bcachefs from their sources): there a change time comes from the kernel's clock, which moves on every 1
 * to 10 milliseconds (CONFIG_HZ). Elsewhere the clock may be a server's, and times may be as coarse as 2 seconds (FAT).
 */
const exact = new Set([0xef53, 0x58465342, 0x9123683e, 0x01021994, 0xf2f52010, 0x794c7630, 0x2fc12fc1, 0xca451a4e]);
const fineNanoseconds = 100_000_000n;
const coarseNanoseconds = 2_000_000_000n;
const isExact = new Map<bigint, boolean>();

/**
 * True when whatever is written to the file after `seenAt` (nanoseconds since the epoch on the system's clock) will show in its change time: by write(2), or through a
 * mapping (mmap) whose pages the kernel has not yet found written to. Of pages that were, later writes show in no time until they are on disk, half a minute at most
 * (never on a tmpfs): a file that a running program changes in that way, and keeps open, is taken for unchanged, as by git and make. Entries of
 * committed snapshots are always settled. A file system that keeps whole seconds only (ext4 with small inodes) shows it in its times, and counts as coarse.
 */
export function isSettled(entry: Pick<TreeEntry, 'ctime' | 'mtime' | 'fileSystem' | 'hostPath'>, seenAt: bigint): boolean {
  const { ctime, mtime } = entry;
  if (ctime === undefined) return true;
  if (ctime % 1_000_000n !== 0n && ctime < seenAt - fineNanoseconds && keepsNanoseconds(entry)) return true;
  const limit = seenAt - coarseNanoseconds;
  return mtime < limit && ctime < limit;
}

function keepsNanoseconds({ fileSystem, hostPath }: Pick<TreeEntry, 'fileSystem' | 'hostPath'>): boolean {
  if (fileSystem === undefined) return false;
  const known = isExact.get(fileSystem);
  if (known !== undefined) return known;
  const found = exact.has(typeOf(hostPath));
  isExact.set(fileSystem, found);
  return found;
}

function typeOf(hostPath: TreeEntry['hostPath']): number {
  try {
    return statfsSync(nodePath(hostPath)).type;
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    return 0;
  }
}
