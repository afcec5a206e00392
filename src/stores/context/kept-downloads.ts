/** What openDownloads and openGitSources keep, as things that take up space: a folder for each address, with a note that is written at each use. */
import { readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { systemCode } from '#ground/base/errors.ts';
import { readGitNote } from './git/note.ts';

export type KeptDownload = {
  readonly id: string;
  readonly kind: 'file' | 'git';
  /** Name of the file, or address of the repository. */
  readonly description: string;
  /** Bytes on disk. */
  readonly bytes: number;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  readonly lastUsedAt: number;
};

const trashPrefix = 'trash-';

/** All downloads below `folder`, which may not be there yet. */
export function listDownloads(folder: string): readonly KeptDownload[] {
  return namesIn(folder)
    .filter((name) => /^(?:git-)?[0-9a-f]{32}$/u.test(name))
    .flatMap((id) => {
      if (id.startsWith('git-')) return describeRepository(folder, id);
      const place = join(folder, id);
      const stats = statSync(place, { throwIfNoEntry: false });
      if (stats === undefined) return [];
      const note = statSync(join(place, 'note.json'), { throwIfNoEntry: false });
      const files = namesIn(place).flatMap((version) => namesIn(join(place, version)).map((name) => join(place, version, name)));
      const bytes = files.reduce((sum, file) => sum + 512 * (statSync(file, { throwIfNoEntry: false })?.blocks ?? 0), 0);
      const lastUsedAt = Math.floor((note ?? stats).mtimeMs);
      return [
        {
          id,
          kind: 'file' as const,
          description: files[0]?.split('/').at(-1) ?? '',
          bytes,
          createdAt: Math.floor(stats.birthtimeMs),
          lastUsedAt,
        },
      ];
    });
}

function describeRepository(folder: string, id: string): readonly KeptDownload[] {
  const place = join(folder, id);
  const stats = statSync(place, { throwIfNoEntry: false });
  if (stats === undefined) return [];
  const { remote, bytes, usedAt } = readGitNote(place) ?? { remote: '', bytes: 0, usedAt: stats.mtimeMs };
  return [{ id, kind: 'git', description: remote, bytes, createdAt: Math.floor(stats.birthtimeMs), lastUsedAt: Math.floor(usedAt) }];
}

/** Removes a download by rename, so that half of it is never found; what a killed process left of others goes, too. */
export function removeDownload(folder: string, id: string): void {
  try {
    renameSync(join(folder, id), join(folder, trashPrefix + randomUUID()));
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
  }
  for (const name of namesIn(folder)) if (name.startsWith(trashPrefix)) rmSync(join(folder, name), { recursive: true, force: true });
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '')) return [];
    throw error;
  }
}
