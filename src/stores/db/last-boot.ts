/**
 * In which boot a database was worked with last. What a crash of the machine may have cost (the last rows of this or another database, files that rows speak
 * of) is looked for once, by the first who works with it in the next boot, whether there was a crash or not.
 */
import { bootId } from '#ground/base/boot.ts';
import type { Database } from './open.ts';

/** To be a migration of its own. */
export const lastBootTable = 'CREATE TABLE opened (one INTEGER PRIMARY KEY CHECK (one = 1), boot TEXT NOT NULL) STRICT';

/** Was the database last worked with in another boot, as far as is known? */
export function isFirstOfBoot(database: Database): boolean {
  return database.prepare('SELECT boot FROM opened').get()?.['boot'] !== bootId();
}

/** What was to be done in a new boot is done. False when another process has said so meanwhile. */
export function beginBoot(database: Database): boolean {
  const sql = 'INSERT INTO opened VALUES (1, ?) ON CONFLICT DO UPDATE SET boot = excluded.boot WHERE boot != excluded.boot';
  return database.prepare(sql).run(bootId()).changes > 0;
}
