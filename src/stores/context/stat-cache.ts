/** Digests of files, remembered from build to build for as long as the file is provably the same. */
import { closeSync, fstatSync, readSync } from 'node:fs';
import { JettisonError } from '#ground/base/errors.ts';
import { createDigester, digestOf, type Digest } from '#ground/base/digest.ts';
import { checkUnchanged, entryChanged, openEntryFile } from '#ground/linux/tree-read.ts';
import type { TreeEntry } from '#ground/linux/tree.ts';
import type { Database } from '#stores/db/open.ts';
import { openCopyMemory, type CopyMemory } from './copy-memory.ts';
import { isSameState, noStats, packStats, readPackedStats, type Hashed, type PackedStats } from './packed-stats.ts';
import { isSettled } from './settled.ts';

export type StatCache = Disposable & {
  /** sha256 of a regular file's bytes. Throws `linux/changed` when it is not the file that the entry describes, or is written to meanwhile. */
  digestFile(entry: TreeEntry): Digest;
  /** Somebody else has read the file as the entry describes it, after `seenAt` (nanoseconds since the epoch), and this is its digest. */
  learn(entry: TreeEntry, digest: Digest, seenAt: bigint): void;
  /** Digests of whole copies. They are written and forgotten with those of files. */
  readonly copies: CopyMemory;
  /** Milliseconds since the epoch on the clock that file times come from. */
  now(): number;
  /** Bytes of files that were read to hash them. */
  readBytes(): number;
  /** Writes what was learned, in one transaction. Disposing does it, too, and says nothing when it cannot. */
  flush(): void;
  /** Forgets folders that no build has read since (milliseconds since the epoch). */
  forgetUnused(since: number): void;
};

/** The form before `packedStatTables`. */
export const statCacheTables =
  'CREATE TABLE folder_digests (folder TEXT NOT NULL PRIMARY KEY, entries TEXT NOT NULL, used_day INTEGER NOT NULL) STRICT;';

/** One row a folder: 20,000 files in 1,000 folders are 1,000 rows. `entries`: see packed-stats.ts. */
export const packedStatTables = `DROP TABLE folder_digests;
  CREATE TABLE folder_digests (folder TEXT NOT NULL PRIMARY KEY, entries BLOB NOT NULL, used_day INTEGER NOT NULL) STRICT;`;

const day = 24 * 60 * 60 * 1000;
const bufferSize = 1024 * 1024;

type Folder = {
  readonly kept: PackedStats;
  readonly learned: Map<string, Hashed>;
  /** Names asked for since the folder was read. */
  readonly used: Set<string>;
  isChanged: boolean;
};

/**
 * `database` has `packedStatTables` and `copyMemoryTables`; `now` gives milliseconds since the epoch on the clock that file times come from: the system's, but for
 * tests.
 */
export function openStatCache({ database, now = Date.now }: { readonly database: Database; readonly now?: () => number }): StatCache {
  const read = database.prepare('SELECT entries, used_day FROM folder_digests WHERE folder = ?');
  const write = database.prepare('INSERT OR REPLACE INTO folder_digests (folder, entries, used_day) VALUES (?, ?, ?)');
  const remove = database.prepare('DELETE FROM folder_digests WHERE used_day < ?');
  const copies = openCopyMemory({ database, now });
  const folders = new Map<string, Folder>();
  const today = (): number => Math.floor(now() / day);
  let buffer: Uint8Array | undefined;
  let readBytes = 0;

  const folderAt = (path: string): Folder => {
    const known = folders.get(path);
    if (known !== undefined) return known;
    const row = read.get(path);
    const entries = row?.['entries'];
    const folder = {
      kept: entries instanceof Uint8Array ? readPackedStats(entries) : noStats,
      learned: new Map<string, Hashed>(),
      used: new Set<string>(),
      isChanged: row !== undefined && row['used_day'] !== today(),
    };
    folders.set(path, folder);
    return folder;
  };
  const placeOf = (entry: TreeEntry): { readonly folder: Folder; readonly name: string } => {
    const split = entry.hostPath.lastIndexOf('/');
    const folder = folderAt(entry.hostPath.slice(0, split));
    const name = entry.hostPath.slice(split + 1);
    folder.used.add(name);
    return { folder, name };
  };
  const keep = (entry: TreeEntry, digest: Digest, seenAt: bigint): void => {
    readBytes += entry.size;
    if (!isSettled(entry, seenAt)) return;
    const { folder, name } = placeOf(entry);
    folder.learned.set(name, { state: entry, digest });
    folder.isChanged = true;
  };
  const flush = (): void => {
    copies.flush();
    const changed = [...folders].filter(([, folder]) => folder.isChanged);
    if (changed.length === 0) return;
    database.transaction(() => {
      for (const [path, folder] of changed) {
        const files = filesToKeep(folder);
        if (files.length > 0) write.run(path, packStats(files), today());
      }
    });
    for (const [, folder] of changed) folder.isChanged = false;
  };

  return {
    digestFile(entry) {
      const { folder, name } = placeOf(entry);
      const known = findIn(folder, name, entry);
      if (known !== undefined) return known;
      const hashedAt = BigInt(Math.floor(now())) * 1_000_000n;
      const digest = hashFile(entry, (buffer ??= new Uint8Array(bufferSize)));
      keep(entry, digest, hashedAt);
      return digest;
    },
    learn: keep,
    copies,
    now,
    readBytes: () => readBytes,
    flush,
    forgetUnused(since) {
      remove.run(Math.floor(since / day));
      copies.forgetUnused(since);
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

function findIn({ kept, learned }: Folder, name: string, state: TreeEntry): Digest | undefined {
  const news = learned.get(name);
  if (news === undefined) return kept.find(name, state);
  return isSameState(news.state, state) ? news.digest : undefined;
}

/** Names of files that are gone are dropped once they outnumber those in use by far. */
function filesToKeep({ kept, learned, used }: Folder): readonly (readonly [string, Hashed])[] {
  const files = new Map([...kept.entries(), ...learned]);
  return files.size > 4 * used.size + 64 ? [...files].filter(([name]) => used.has(name)) : [...files];
}
