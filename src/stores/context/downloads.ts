/** What is kept of the web and of Git repositories, seen from outside: entries that can be listed and removed. */
import { randomUUID } from 'node:crypto';
import { lstatSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { asByteString, fromText, nodePath } from '#ground/base/byte-string.ts';
import { systemCode } from '#ground/base/errors.ts';
import { tryLockFile } from '#ground/linux/lock-file.ts';

export type Download = {
  /** Opaque; stays the same for one address. */
  readonly id: string;
  readonly kind: 'file' | 'git';
  /** Bytes on disk. */
  readonly size: number;
  /** Milliseconds since the epoch. */
  readonly lastUsed: number;
};

const entryName = /^(?:git-)?[\da-f]{32}$/u;
const gone = 'gone-';

/** All entries of the downloads `folder`, in no order; none when it is not there. */
export function listDownloads(folder: string): readonly Download[] {
  return namesIn(folder).flatMap((id) => {
    const stats = entryName.test(id) ? lstatSync(join(folder, id), { throwIfNoEntry: false }) : undefined;
    if (stats?.isDirectory() !== true) return [];
    return [{ id, kind: id.startsWith('git-') ? 'git' : 'file', size: sizeOf(join(folder, id)), lastUsed: stats.mtimeMs } as const];
  });
}

/**
 * Removes one entry; false when it is not there, or is a repository that some build works with. What a build was told of a moment ago it may
 * still be reading: leave those alone that were used within the last hour. What a process left that was killed at it goes, too.
 */
export function removeDownload(folder: string, id: string): boolean {
  for (const name of namesIn(folder)) if (name.startsWith(gone)) rmSync(join(folder, name), { recursive: true, force: true });
  const place = join(folder, id);
  if (!entryName.test(id) || lstatSync(place, { throwIfNoEntry: false })?.isDirectory() !== true) return false;
  using lock = id.startsWith('git-') ? tryLockFile(join(place, 'lock'), { exclusive: true, wait: false }) : undefined;
  if (lock === undefined && id.startsWith('git-')) return false;
  const away = join(folder, `${gone}${randomUUID()}`);
  renameSync(place, away);
  rmSync(away, { recursive: true, force: true });
  return true;
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return [];
    throw error;
  }
}

function sizeOf(top: string): number {
  const folders = [fromText(top)];
  let size = 0;
  for (const folder of folders) {
    for (const name of readdirSync(nodePath(folder), 'latin1')) {
      const path = asByteString(`${folder}/${name}`);
      const stats = lstatSync(nodePath(path), { throwIfNoEntry: false });
      size += (stats?.blocks ?? 0) * 512;
      if (stats?.isDirectory() === true) folders.push(path);
    }
  }
  return size;
}
