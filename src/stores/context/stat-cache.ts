/** Digests of files, remembered from build to build for as long as the file is provably the same. */
import { closeSync, fstatSync, readSync } from 'node:fs';
import { JettisonError } from '#ground/base/errors.ts';
import { createDigester, digestOf, isDigest, type Digest } from '#ground/base/digest.ts';
import { checkUnchanged, entryChanged, openEntryFile } from '#ground/linux/tree-read.ts';
import type { TreeEntry } from '#ground/linux/tree.ts';
import type { Database } from '#stores/db/open.ts';
import { isSettled } from './settled.ts';

export type StatCache = Disposable & {
  /** sha256 of a regular file's bytes. Throws `linux/changed` when it is not the file that the entry describes, or is written to meanwhile. */
  digestFile(entry: TreeEntry): Digest;
  /** Somebody else has read the file as the entry describes it, after `seenAt` (nanoseconds since the epoch), and this is its digest. */
  learn(entry: TreeEntry, digest: Digest, seenAt: bigint): void;
  /** Bytes of files that were read to hash them. */
  readBytes(): number;
  /** Writes what was learned, in one transaction. Disposing does it, too, and says nothing when it cannot. */
  flush(): void;
  /** Forgets folders that no build has read since (milliseconds since the epoch). */
  forgetUnused(since: number): void;
};

/** One row a folder: 20,000 files in 1,000 folders are 1,000 rows. `entries` is a JSON list: name, stamp, digest, name, stamp, digest ... */
export const statCacheTables =
  'CREATE TABLE folder_digests (folder TEXT NOT NULL PRIMARY KEY, entries TEXT NOT NULL, used_day INTEGER NOT NULL) STRICT;';

const day = 24 * 60 * 60 * 1000;
const bufferSize = 1024 * 1024;

type Remembered = { readonly stamp: string; readonly digest: Digest };
type Folder = {
  readonly entries: Map<string, Remembered>;
  /** Names asked for since the folder was read. */
  readonly used: Set<string>;
  isChanged: boolean;
};

/** `database` has `statCacheTables`; `now` gives milliseconds since the epoch on the clock that file times come from: the system's, but for tests. */
export function openStatCache({ database, now = Date.now }: { readonly database: Database; readonly now?: () => number }): StatCache {
  const read = database.prepare('SELECT entries, used_day FROM folder_digests WHERE folder = ?');
  const write = database.prepare('INSERT OR REPLACE INTO folder_digests (folder, entries, used_day) VALUES (?, ?, ?)');
  const remove = database.prepare('DELETE FROM folder_digests WHERE used_day < ?');
  const folders = new Map<string, Folder>();
  const today = (): number => Math.floor(now() / day);
  let buffer: Uint8Array | undefined;
  let readBytes = 0;

  const folderAt = (path: string): Folder => {
    const known = folders.get(path);
    if (known !== undefined) return known;
    const row = read.get(path);
    const folder = {
      entries: parseEntries(row?.['entries']),
      used: new Set<string>(),
      isChanged: row !== undefined && row['used_day'] !== today(),
    };
    folders.set(path, folder);
    return folder;
  };
  const placeOf = (entry: TreeEntry): { readonly folder: Folder; readonly name: string; readonly stamp: string } => {
    const split = entry.hostPath.lastIndexOf('/');
    const folder = folderAt(entry.hostPath.slice(0, split));
    const name = entry.hostPath.slice(split + 1);
    folder.used.add(name);
    return { folder, name, stamp: [entry.inode, entry.size, entry.mtime, entry.ctime, entry.fileSystem].join(' ') };
  };
  const keep = (entry: TreeEntry, digest: Digest, seenAt: bigint): void => {
    readBytes += entry.size;
    if (!isSettled(entry, seenAt)) return;
    const { folder, name, stamp } = placeOf(entry);
    folder.entries.set(name, { stamp, digest });
    folder.isChanged = true;
  };
  const flush = (): void => {
    const changed = [...folders].filter(([, folder]) => folder.isChanged);
    if (changed.length === 0) return;
    database.transaction(() => {
      for (const [path, folder] of changed) write.run(path, printEntries(folder), today());
    });
    for (const [, folder] of changed) folder.isChanged = false;
  };

  return {
    digestFile(entry) {
      const { folder, name, stamp } = placeOf(entry);
      const known = folder.entries.get(name);
      if (known?.stamp === stamp) return known.digest;
      const hashedAt = BigInt(Math.floor(now())) * 1_000_000n;
      const digest = hashFile(entry, (buffer ??= new Uint8Array(bufferSize)));
      keep(entry, digest, hashedAt);
      return digest;
    },
    learn: keep,
    readBytes: () => readBytes,
    flush,
    forgetUnused(since) {
      remove.run(Math.floor(since / day));
    },
    [Symbol.dispose]: () => {
      try {
        flush();
      } catch (error) {
        // What cannot be kept is read again by the next build; an error of the build itself must not be buried under this one.
        if (!(error instanceof JettisonError) || error.fault === 'bug') throw error;
      }
    },
  };
}

function hashFile(entry: TreeEntry, buffer: Uint8Array): Digest {
  const file = openEntryFile(entry);
  try {
    const digest = entry.size <= buffer.length ? hashSmall(file, entry, buffer) : hashLarge(file, entry, buffer);
    checkUnchanged(entry, fstatSync(file, { bigint: true }));
    return digest;
  } finally {
    closeSync(file);
  }
}

function hashSmall(file: number, entry: TreeEntry, buffer: Uint8Array): Digest {
  let length = 0;
  while (length < entry.size) length += readSome(file, entry, buffer.subarray(length, entry.size));
  return digestOf(buffer.subarray(0, length));
}

function hashLarge(file: number, entry: TreeEntry, buffer: Uint8Array): Digest {
  const digester = createDigester();
  for (let left = entry.size; left > 0;) {
    const count = readSome(file, entry, buffer.subarray(0, Math.min(left, buffer.length)));
    digester.update(buffer.subarray(0, count));
    left -= count;
  }
  return digester.finish();
}

function readSome(file: number, entry: TreeEntry, into: Uint8Array): number {
  const count = readSync(file, into);
  if (count > 0) return count;
  throw entryChanged(entry, 'became shorter while it was read');
}

function parseEntries(text: unknown): Map<string, Remembered> {
  const entries = new Map<string, Remembered>();
  const list = typeof text === 'string' ? parseList(text) : [];
  for (let index = 0; index + 2 < list.length; index += 3) {
    const [name, stamp, digest] = [list[index], list[index + 1], list[index + 2]];
    if (typeof name !== 'string' || typeof stamp !== 'string' || typeof digest !== 'string' || !isDigest(digest)) continue;
    entries.set(name, { stamp, digest });
  }
  return entries;
}

/** A row that cannot be read is as good as none: it is only a memory. */
function parseList(text: string): readonly unknown[] {
  try {
    const list: unknown = JSON.parse(text);
    return Array.isArray(list) ? list : [];
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return [];
  }
}

/** Names of files that are gone are dropped once they outnumber those in use by far. */
function printEntries({ entries, used }: Folder): string {
  const kept = entries.size > 4 * used.size + 64 ? [...entries].filter(([name]) => used.has(name)) : [...entries];
  return JSON.stringify(kept.flatMap(([name, { stamp, digest }]) => [name, stamp, digest]));
}
