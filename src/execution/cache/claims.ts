/**
 * Who is running what, among all processes that share a cache: what two builds need at once is run by one of them. A claim is a row with the name of its
 * process's lease (`db/lease.ts`): when that process is gone, however it went, the row counts no more.
 */
import { JettisonError } from '#ground/base/errors.ts';
import type { Database } from '#stores/db/open.ts';
import { sleep } from '#ground/base/retry.ts';
import type { CacheKey } from './key.ts';

export type Claims = {
  /** Claims a key until the claim is disposed; undefined while another claim on it holds, be it this process's own. */
  take(key: CacheKey): Disposable | undefined;
  /** Waits until nobody claims the key; rejects with the signal's reason. Hold no claim meanwhile: then nobody waits for each other. */
  free(key: CacheKey, signal: AbortSignal): Promise<void>;
  /** The id of the other process that claims the key; undefined when it is this one, or nobody. */
  otherProcess(key: CacheKey): number | undefined;
};

export type ClaimOwners = {
  /** The name of this process's lease, taken when it is first asked for. */
  readonly own: () => string;
  /** Is the lease of this name held by a living process? */
  readonly isHeld: (name: string) => boolean;
};

/** Migrations of the database: `claimTables`, then `claimProcesses`. */
export const claimTables = 'CREATE TABLE cache_claim (key TEXT PRIMARY KEY, owner TEXT NOT NULL) STRICT, WITHOUT ROWID;';
export const claimProcesses = 'ALTER TABLE cache_claim ADD COLUMN process INTEGER;';

const firstPause = 10;
const longestPause = 200;

/** `database` has `claimTables` and `claimProcesses`. */
export function openClaims(database: Database, owners: ClaimOwners): Claims {
  const find = database.prepare('SELECT owner, process FROM cache_claim WHERE key = ?');
  const put = database.prepare('INSERT OR REPLACE INTO cache_claim (key, owner, process) VALUES (?, ?, ?)');
  const remove = database.prepare('DELETE FROM cache_claim WHERE key = ? AND owner = ?');
  const isFree = (key: CacheKey): boolean => {
    const owner = find.get(key)?.['owner'];
    return owner === undefined || (owner !== owners.own() && !owners.isHeld(String(owner)));
  };
  const giveUp = (key: CacheKey, own: string): void => {
    try {
      remove.run(key, own);
    } catch (error) {
      // A full disk ends this build anyway, and with it the owner: whoever waits then takes the key.
      if (!(error instanceof JettisonError) || error.fault === 'bug') throw error;
    }
  };
  return {
    take(key) {
      const own = owners.own();
      const taken = database.transaction(() => {
        if (!isFree(key)) return false;
        put.run(key, own, process.pid);
        return true;
      });
      return taken ? { [Symbol.dispose]: () => giveUp(key, own) } : undefined;
    },
    async free(key, signal) {
      for (let pause = firstPause; !isFree(key); pause = Math.min(2 * pause, longestPause)) await sleep(pause, signal);
    },
    otherProcess(key) {
      const owner = find.get(key)?.['process'];
      return typeof owner === 'number' && owner !== process.pid ? owner : undefined;
    },
  };
}
