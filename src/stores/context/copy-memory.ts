/** Digests of whole copies, remembered from build to build for as long as a look at all their files (`copy-look.ts`) says that nothing was changed. */
import { canonicalJson } from '#ground/base/canonical-json.ts';
import { digestOf, isDigest, type Digest } from '#ground/base/digest.ts';
import type { Database } from '#stores/db/open.ts';
import type { CopyLook } from './copy-look.ts';
import type { CopySources } from './select.ts';

export type CopyMemory = {
  /** The digest that a copy had when it looked like this; undefined when that is not known. */
  find(copy: RememberedCopy, look: CopyLook): Digest | undefined;
  /** `look` is what the digest was made of. A copy with a file that may still change unseen is not kept. */
  keep(copy: RememberedCopy, look: CopyLook, digest: Digest): void;
  /** How many entries the largest copy from one of these folders had the last time; 0 when nothing is known. */
  mostEntries(folders: readonly string[]): number;
  flush(): void;
  /** Forgets copies that no build has made since (milliseconds since the epoch). */
  forgetUnused(since: number): void;
};

export type RememberedCopy = {
  /** Real path of the context. */
  readonly folder: string;
  readonly ignore: readonly string[];
  readonly sources: CopySources;
  /** Before the first look at the folder (milliseconds since the epoch). */
  readonly openedAt: number;
};

export const copyMemoryTables = `CREATE TABLE copy_digests (copy TEXT NOT NULL PRIMARY KEY, folder TEXT NOT NULL, fingerprint TEXT NOT NULL, digest TEXT NOT NULL,
  entries INTEGER NOT NULL, used_day INTEGER NOT NULL) STRICT; CREATE INDEX copy_digests_of_folder ON copy_digests (folder);`;

const day = 24 * 60 * 60 * 1000;
/** Changes with what a fingerprint or a digest of a copy is made of. */
const version = 2;

type Row = { readonly copy: RememberedCopy; readonly look: CopyLook; readonly digest: Digest };

/** `database` has `copyMemoryTables`; `now` as for the stat cache. */
export function openCopyMemory({ database, now }: { readonly database: Database; readonly now: () => number }): CopyMemory {
  const read = database.prepare('SELECT fingerprint, digest, used_day FROM copy_digests WHERE copy = ?');
  const write = database.prepare(
    'INSERT OR REPLACE INTO copy_digests (copy, folder, fingerprint, digest, entries, used_day) VALUES (?, ?, ?, ?, ?, ?)',
  );
  const most = database.prepare('SELECT max(entries) AS entries FROM copy_digests WHERE folder = ?');
  const remove = database.prepare('DELETE FROM copy_digests WHERE used_day < ?');
  const changed = new Map<string, Row>();
  const today = (): number => Math.floor(now() / day);

  return {
    find(copy, look) {
      const id = idOf(copy);
      const row = read.get(id);
      const digest = row?.['digest'];
      if (row?.['fingerprint'] !== look.fingerprint || typeof digest !== 'string' || !isDigest(digest)) return undefined;
      if (row['used_day'] !== today()) changed.set(id, { copy, look, digest });
      return digest;
    },
    keep(copy, look, digest) {
      if (look.isSettled(BigInt(Math.floor(copy.openedAt)) * 1_000_000n)) changed.set(idOf(copy), { copy, look, digest });
    },
    mostEntries: (folders) =>
      folders.reduce((sum, folder) => {
        const entries = most.get(folder)?.['entries'];
        return Math.max(sum, typeof entries === 'number' ? entries : 0);
      }, 0),
    flush() {
      if (changed.size === 0) return;
      database.transaction(() => {
        for (const [id, { copy, look, digest }] of changed) write.run(id, copy.folder, look.fingerprint, digest, look.entries, today());
      });
      changed.clear();
    },
    forgetUnused(since) {
      remove.run(Math.floor(since / day));
    },
  };
}

/** All that decides which files a copy takes: two copies never share a row. */
function idOf({ folder, ignore, sources: { sources, wildcards, exclude, parents } }: RememberedCopy): string {
  return digestOf(canonicalJson({ version, folder, ignore, sources, wildcards, exclude, parents }));
}
