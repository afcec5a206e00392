/**
 * Who is at work with a store: a process holds a lock on a file of its own, which ends with the process however it ends, and is seen by all on the same
 * kernel. It is a lock of SQLite (on an empty database), so that holding one loads nothing.
 */
import { mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { randomHex } from '#ground/base/random.ts';
import { fullDisk, fullDiskHint, JettisonError } from '#ground/base/errors.ts';
import { lockDatabase } from './file-lock.ts';

export type Lease = Disposable & {
  readonly name: string;
  /** Milliseconds since the epoch. */
  readonly since: number;
};

const grammar = /^(\d{1,16})-[0-9a-f]{12}$/u;
const hour = 3_600_000;

/** Takes a lease in `folder`, made when missing. The file gets its name once it is locked, so that nobody takes it for a dead one's. Throws `db/full`. */
export function takeLease(folder: string, now: number): Lease {
  try {
    return take(folder, now);
  } catch (error) {
    const full = fullDisk(error);
    if (full === undefined) throw error;
    throw new JettisonError('db/full', `Cannot write to "${folder}": ${full}`, { fault: 'environment', cause: error, hint: fullDiskHint });
  }
}

function take(folder: string, now: number): Lease {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const name = `${Math.floor(now)}-${randomHex(6)}`;
  const early = join(folder, `.${name}`);
  // Not by SQLite, which would let everybody read it, and does not say what is wrong with a full disk.
  writeFileSync(early, '', { flag: 'wx', mode: 0o600 });
  const lock = lockDatabase(early, 'EXCLUSIVE', 0);
  if (lock === undefined) throw new JettisonError('db/lease-locked', `Cannot lock "${early}"`, { fault: 'environment' });
  renameSync(early, join(folder, name));
  return {
    name,
    since: Math.floor(now),
    [Symbol.dispose]() {
      rmSync(join(folder, name), { force: true });
      if (lock.isOpen) lock.close();
    },
  };
}

/** Leases that are held now, the oldest first, but for the one called `except`. Files of processes that died are removed. */
export function listLeases(folder: string, except?: string): readonly { readonly name: string; readonly since: number }[] {
  const held: { readonly name: string; readonly since: number }[] = [];
  for (const name of namesIn(folder)) {
    const path = join(folder, name);
    if (name.startsWith('.')) removeOld(path);
    const [, since] = grammar.exec(name) ?? [];
    if (since === undefined || name === except) continue;
    if (isHeld(path)) held.push({ name, since: Number(since) });
  }
  return held.toSorted((a, b) => a.since - b.since);
}

/** Removes the files of processes that died; true when there were some. Where nobody is at work this is one look into the folder. */
export function clearDeadLeases(folder: string): boolean {
  const found = namesIn(folder);
  if (found.length === 0) return false;
  listLeases(folder);
  return namesIn(folder).length < found.length;
}

/** Is the lease called `name`, of whichever process, held now? */
export function isLeaseHeld(folder: string, name: string): boolean {
  return grammar.test(name) && isHeld(join(folder, name));
}

function isHeld(path: string): boolean {
  if (statSync(path, { throwIfNoEntry: false }) === undefined) return false;
  using lock = lockDatabase(path, 'EXCLUSIVE', 0);
  if (lock !== undefined) rmSync(path, { force: true });
  return lock === undefined;
}

function namesIn(folder: string): readonly string[] {
  return statSync(folder, { throwIfNoEntry: false }) === undefined ? [] : readdirSync(folder);
}

/** Files whose makers were killed before they got their names. */
function removeOld(path: string): void {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats !== undefined && Date.now() - stats.mtimeMs > hour) rmSync(path, { force: true });
}
