/**
 * What is removed goes to `trash/` by rename and is deleted later: a batch a time, with the names of the owners of that moment. One of them may
 * still read or mount these folders, so a batch is deleted only when all of them are gone. Who came later cannot have heard of it.
 */
import { lstatSync, mkdirSync, readFileSync, readdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { asByteString, fromText, nodePath, type ByteString } from '#ground/base/byte-string.ts';
import { randomHex } from '#ground/base/random.ts';
import { systemCode } from '#ground/base/errors.ts';
import { removeTree } from '#ground/linux/remove-tree.ts';
import { isGone, listOwners } from './owners.ts';

const hour = 3_600_000;

export type Batch = { add(folder: string): void };

/** A new batch, for folders (`s/12`, relative to the store) that nobody who comes later can hear of: the rows that name them are out of sight already. */
export function openBatch(store: string): Batch {
  let batch = makeBatch(store);
  let count = 0;
  return {
    add(folder) {
      const source = join(store, folder);
      while (!moveInto(source, join(batch, String(count++)))) {
        if (!lstatSync(source, { throwIfNoEntry: false })) return;
        // The batch is what is gone: none of its users was left when somebody emptied the trash.
        batch = makeBatch(store);
      }
    },
  };
}

/** With its list from the moment on in which that has its name: one that is being written would look as if there were no users. */
function makeBatch(store: string): string {
  const batch = join(store, 'trash', randomHex(6));
  mkdirSync(batch, 0o700);
  writeFileSync(join(batch, '.users'), listOwners(store).join('\n'));
  renameSync(join(batch, '.users'), join(batch, 'users'));
  return batch;
}

/** False: one of the two places is not there. */
function moveInto(source: string, target: string): boolean {
  try {
    renameSync(source, target);
    return true;
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
    return false;
  }
}

/** Moves folders into a batch of their own. */
export function moveToTrash(store: string, folders: readonly string[]): void {
  if (folders.length === 0) return;
  const batch = openBatch(store);
  for (const folder of folders) batch.add(folder);
}

/** Entries of a tree that may wait until others are deleted, their bytes on the disk, and batches that may. */
const [fewEntries, fewBytes, fewBatches] = [32, 1024 * 1024, 16];

/** Is so little in this tree, and in the trash, that a process of its own for it would be more than it is worth? */
export function mayWait(store: string, folder: string): boolean {
  return (
    readdirSync(join(store, 'trash')).length < fewBatches &&
    isLittle(fromText(join(store, folder)), { entries: fewEntries, bytes: fewBytes })
  );
}

/** Counts no further than it must; `left` is what may still come. */
function isLittle(path: ByteString, left: { entries: number; bytes: number }): boolean {
  for (const entry of readdirSync(nodePath(path), { withFileTypes: true, encoding: 'latin1' })) {
    const inside = asByteString(`${path}/${entry.name}`);
    left.entries -= 1;
    if (entry.isFile()) left.bytes -= lstatSync(nodePath(inside)).blocks * 512;
    if (left.entries < 0 || left.bytes < 0) return false;
    if (entry.isDirectory() && !isLittle(inside, left)) return false;
  }
  return true;
}

/** Deletes all batches that nobody can still be using; takes as long as it takes. Gives how many. */
export function emptyTrash(store: string): number {
  let count = 0;
  for (const name of readdirSync(join(store, 'trash'))) {
    const batch = join(store, 'trash', name);
    const users = readUsers(batch);
    if (users?.every((user) => isGone(store, user)) !== true) continue;
    removeTree(batch);
    count++;
  }
  return count;
}

/** Undefined for a batch that is just being made; one that has been so for an hour lost its list in a crash of the machine. */
function readUsers(batch: string): readonly string[] | undefined {
  try {
    return readFileSync(join(batch, 'users'), 'utf8')
      .split('\n')
      .filter((name) => name !== '');
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
    const made = statSync(batch, { throwIfNoEntry: false })?.ctimeMs;
    return made !== undefined && Date.now() - made > hour ? [] : undefined;
  }
}
