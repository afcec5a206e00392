/**
 * The folders of RUN --mount=type=cache as things that take up space: `<hash of the id>/<n>` with `data`, a `lock` that says by its time when the folder was last
 * taken or given back and by its content who has it for himself, and `bytes`, written when it was last measured. `<hash>/id` is the id in words.
 */
import { readdirSync, readFileSync, renameSync, rmdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { asByteString, fromText, nodePath, type ByteString } from '#ground/base/byte-string.ts';
import { systemCode } from '#ground/base/errors.ts';
import { tryLockFile } from '#ground/linux/lock-file.ts';
import { removeTree } from '#ground/linux/remove-tree.ts';
import { lookAt } from '#ground/linux/tree-read.ts';

export type KeptCacheMount = {
  /** The beginning of the hash and the number: `1f2e3d4c5b6a7988-0`. */
  readonly id: string;
  /** The id as the build gave it; its target where it gave none. */
  readonly description: string;
  /** Bytes on disk when it was last measured. */
  readonly bytes: number;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  readonly lastUsedAt: number;
};

const trashPrefix = 'trash-';
const folderName = /^[0-9a-f]{64}$/u;

/** Whoever takes the lock of the folder `<place>/<n>`, or is about to give it back, says so; `holder` is the process that has it alone. */
export function noteCacheMountUse(
  place: string,
  folder: string,
  { id, holder }: { readonly id: string; readonly holder: number | undefined },
): void {
  const now = new Date();
  writeFileSync(join(folder, 'lock'), holder === undefined ? '' : String(holder));
  utimesSync(join(folder, 'lock'), now, now);
  const words = join(place, 'id');
  if (statSync(words, { throwIfNoEntry: false }) === undefined) writeFileSync(words, id, { mode: 0o600 });
}

/** The process that has the folder `<place>/<n>` for itself, for somebody who finds it locked; undefined when several may have it. */
export function cacheMountHolder(folder: string): number | undefined {
  const text = readIfThere(join(folder, 'lock')) ?? '';
  return /^\d{1,10}$/u.test(text) ? Number(text) : undefined;
}

/** All cache mounts below `folder` (which may not be there yet). Those taken since they were last measured are measured now. */
export function listCacheMounts(folder: string): readonly KeptCacheMount[] {
  return namesIn(folder)
    .filter((name) => folderName.test(name))
    .flatMap((name) =>
      namesIn(join(folder, name))
        .filter((number) => /^\d+$/u.test(number))
        .flatMap((number) => describe(folder, name, number)),
    );
}

/**
 * Removes these cache mounts, but for those that a step has open; gives the ids of those that are gone. They go by rename, so that half of one is never found; what a
 * killed process left of them goes, too.
 */
export function removeCacheMounts(folder: string, ids: ReadonlySet<string>): readonly string[] {
  const gone: string[] = [];
  for (const name of namesIn(folder).filter((one) => folderName.test(one))) {
    for (const number of namesIn(join(folder, name))) {
      const id = idOf(name, number);
      if (ids.has(id) && moveAway(folder, join(name, number))) gone.push(id);
    }
    if (gone.length > 0) removeEmpty(join(folder, name));
  }
  for (const name of namesIn(folder)) if (name.startsWith(trashPrefix)) removeTree(join(folder, name));
  return gone;
}

function idOf(name: string, number: string): string {
  return `${name.slice(0, 16)}-${number}`;
}

function describe(folder: string, name: string, number: string): readonly KeptCacheMount[] {
  const place = join(folder, name, number);
  const used = statSync(join(place, 'lock'), { throwIfNoEntry: false });
  if (used === undefined) return [];
  const description = readIfThere(join(folder, name, 'id')) ?? name;
  const bytes = measure(place, used.mtimeMs);
  return [{ id: idOf(name, number), description, bytes, createdAt: Math.floor(used.birthtimeMs), lastUsedAt: Math.floor(used.mtimeMs) }];
}

/**
 * Takes no lock: a step that wants the folder for itself would wait for this, or take another one. One that is at work with it now makes the note too old when it
 * gives the folder back.
 */
function measure(place: string, lastUsed: number): number {
  const note = join(place, 'bytes');
  const noted = statSync(note, { throwIfNoEntry: false });
  if (noted !== undefined && noted.mtimeMs > lastUsed) return Number(readIfThere(note) ?? 0);
  const bytes = bytesIn(fromText(join(place, 'data')));
  if (statSync(join(place, 'lock'), { throwIfNoEntry: false })?.mtimeMs === lastUsed) noteBytes(note, bytes);
  return bytes;
}

/** A prune may have taken the folder away meanwhile. */
function noteBytes(file: string, bytes: number): void {
  try {
    writeFileSync(file, String(bytes), { mode: 0o600 });
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
  }
}

/** Names that appear and vanish while it is read are no fault: somebody may be writing there. */
function bytesIn(root: ByteString): number {
  const waiting = [root];
  let blocks = 0n;
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    const stats = lookAt(path);
    if (stats === undefined) continue;
    blocks += stats.isDirectory() ? stats.blocks : stats.blocks / stats.nlink;
    if (stats.isDirectory()) for (const name of namesIn(nodePath(path))) waiting.push(asByteString(`${path}/${name}`));
  }
  return Number(blocks * 512n);
}

/** False when a step has it. Whoever waits for its lock sees that the file is gone, and makes the folder anew. */
function moveAway(folder: string, place: string): boolean {
  using lock = tryLockFile(join(folder, place, 'lock'), { exclusive: true, wait: false });
  if (lock === undefined) return false;
  renameSync(join(folder, place), join(folder, trashPrefix + randomBytes(6).toString('hex')));
  return true;
}

/** Unless somebody has just begun to use it. */
function removeEmpty(place: string): void {
  if (namesIn(place).some((name) => name !== 'id')) return;
  rmSync(join(place, 'id'), { force: true });
  try {
    rmdirSync(place);
  } catch (error) {
    if (!['ENOENT', 'ENOTEMPTY'].includes(systemCode(error) ?? '')) throw error;
  }
}

function namesIn(folder: ReturnType<typeof nodePath>): readonly string[] {
  try {
    return readdirSync(folder, 'latin1');
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '')) return [];
    throw error;
  }
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
