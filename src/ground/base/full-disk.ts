import { statfsSync } from 'node:fs';

/** Whether the disk under a folder has no bytes or no inodes left, for errors that do not say so. */
export function isFullDisk(folder: string): boolean {
  try {
    const { bavail, files, ffree } = statfsSync(folder);
    // Some file systems count no inodes.
    return bavail === 0 || (files > 0 && ffree === 0);
  } catch {
    return false;
  }
}
