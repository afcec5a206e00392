/**
 * Whether what is in a cache mount (`<place>/<n>`, see cache-mounts.ts) outlived the last stop of the machine. While it may have bytes that are not on disk there is a file
 * `unsafe.<boot>` beside its data, made before a step gets the folder, and removed by the process that tends the store once it has synced. In another boot such a
 * folder can have names without their bytes, which a step might take for what it once put there: it begins anew.
 */
import { readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { bootId } from '#ground/base/boot.ts';
import { systemCode } from '#ground/base/errors.ts';
import { tryLockFile } from '#ground/linux/lock-file.ts';
import { removeTree } from '#ground/linux/remove-tree.ts';

/** A cache mount that a step had in this boot and that nobody had when it was looked at. */
export type UnsafeCacheMount = { readonly folder: string; readonly usedAt: number };

const prefix = 'unsafe.';

/** Was the folder in use in another boot, and not synced since? */
export function mayHaveLostBytes(folder: string): boolean {
  return marksOf(folder).some((name) => name !== ownMark());
}

/** Removes what is in it. The caller keeps others from doing the same. */
export function dropUnsafeData(folder: string): void {
  const away = join(folder, `new-${randomUUID()}`);
  try {
    renameSync(join(folder, 'data'), away);
    removeTree(away);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
  }
  // Last: whoever comes after a kill in between does it again.
  for (const name of marksOf(folder)) if (name !== ownMark()) rmSync(join(folder, name), { force: true });
}

/** A step is about to get the folder. The name alone counts: it reaches the disk before what is written later does. */
export function markUnsafe(folder: string): void {
  writeFileSync(join(folder, ownMark()), '', { mode: 0o600 });
}

/** To be asked before a sync of the file system. */
export function listUnsafe(mounts: string): readonly UnsafeCacheMount[] {
  return namesIn(mounts).flatMap((place) =>
    namesIn(join(mounts, place)).flatMap((number) => {
      const folder = join(mounts, place, number);
      if (!marksOf(folder).includes(ownMark())) return [];
      const usedAt = whenFree(folder, (time) => time);
      return usedAt === undefined ? [] : [{ folder, usedAt }];
    }),
  );
}

/** To be called after that sync: those that nobody had meanwhile are safe. */
export function unmarkSafe(found: readonly UnsafeCacheMount[]): void {
  for (const { folder, usedAt } of found) {
    whenFree(folder, (time) => {
      if (time === usedAt) rmSync(join(folder, ownMark()), { force: true });
    });
  }
}

/** Calls `work` with the time of the last use while nobody else can get the folder: for a moment only, as a step would take another one. */
function whenFree<T>(folder: string, work: (usedAt: number) => T): T | undefined {
  const path = join(folder, 'lock');
  const usedAt = statSync(path, { throwIfNoEntry: false })?.mtimeMs;
  if (usedAt === undefined) return undefined;
  using lock = tryLockFile(path, { exclusive: true, wait: false });
  return lock && work(statSync(path).mtimeMs);
}

function ownMark(): string {
  return prefix + bootId();
}

function marksOf(folder: string): readonly string[] {
  return namesIn(folder).filter((name) => name.startsWith(prefix));
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '')) return [];
    throw error;
  }
}
