/** The light half of tending: what a process that never touches a snapshot may load. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startAfterwards, startDetached, type DetachedProgram } from '#ground/linux/spawn.ts';
import { withOwnIds } from '#ground/linux/user-namespace.ts';
import { isolationOf } from './form.ts';

/** A file that is there while a store has something to tend. */
export const tendMark = 'untended';

/** A file that whoever tends a store holds the lock of; it is there as long as the store is. */
export const tendingLock = 'tending';

/** There is something to do for whoever tends the store next. Nothing when there is no store yet. */
export function markUntended(folder: string): void {
  if (existsSync(folder)) writeFileSync(join(folder, tendMark), '');
}

/** What tends a store: a script of ours and what it takes (see tend.ts), with these variables; left out: this process's own. */
export type TendingProgram = { readonly words: readonly string[] } & Pick<DetachedProgram, 'environment'>;

/**
 * Starts a program that tends `folder` in a process of its own, when there is anything to do;
 * returns at once (one stat, or one spawn). Call it when a build has ended, from outside the worker's namespaces: it outlives the caller.
 */
export function startTending(folder: string, program: TendingProgram): void {
  if (existsSync(join(folder, tendMark))) startDetached(detached(folder, program));
}

/** The same for when this process has ended, or `begin` is called: what there is to do is looked at then. For a process that is about to leave something to do, and is not short of time now. */
export function startTendingAfterwards(folder: string, program: TendingProgram): { begin(): void } {
  return startAfterwards({ ...detached(folder, program), mark: join(folder, tendMark) });
}

/** This Node with these words, where it may remove files of all ids. */
function detached(folder: string, { words, ...others }: TendingProgram): DetachedProgram {
  const [command, ...rest] = withOwnIds([process.execPath, ...words], isolationOf(folder));
  return { command, arguments: rest, ...others };
}
