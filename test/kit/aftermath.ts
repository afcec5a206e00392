/** What a command that failed must not leave behind. */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { mountsWith, type Finished, type Sandbox } from './sandbox.ts';

/** Exit code 1 (or `status`) and one error that says `pattern`; the line of the step that failed (`#2 ERROR: ...`) tells of it, too. */
export function assertOneError(done: Finished, pattern: RegExp, status = 1): void {
  assert.equal(done.status, status, `exit code ${done.status ?? done.signal ?? ''}:\n${done.stdout}\n${done.stderr}`);
  assert.match(done.stderr, pattern);
  assert.equal(done.stderr.match(/(?<!^#\d+ )ERROR: /gmu)?.length, 1, `one error:\n${done.stderr}`);
  assert.doesNotMatch(done.stderr, /\bat .*\(file:|This is a bug/u);
}

/** No tag, mount, process, half-written blob, and (after the next command has opened the store) no snapshot that nobody knows of. */
export async function assertNothingLeft(sandbox: Sandbox, tags: readonly string[] = [], store = sandbox.store): Promise<void> {
  const environment = { JETTISON_STORE: store };
  for (const tag of tags) assert.equal((await sandbox.succeed(['images', '-q', tag], { environment })).trim(), '', `no tag "${tag}"`);
  assert.deepEqual(
    mountsWith(sandbox.folder).filter((line) => !line.includes(' tmpfs ') && !line.includes(' ext')),
    [],
  );
  assert.deepEqual(await settled(() => processesOf(sandbox.folder)), [], 'no process left');
  assert.deepEqual(namesIn(join(store, 'content/ingest')), [], 'no half-written blob');
  assert.deepEqual(namesIn(join(store, 'bundles')), [], 'no bundle');
}

/** Snapshot folders are those of committed rows and no others. To be asked after a command that started a worker. */
export async function assertTidySnapshots(store: string): Promise<void> {
  await untilIdle(store);
  const database = new DatabaseSync(join(store, 'snapshots/snapshots.db'), { readOnly: true, timeout: 10_000 });
  const rows = database.prepare('SELECT id, state FROM snapshot').all();
  database.close();
  const unfinished = rows.filter((row) => row['state'] !== 'committed');
  assert.deepEqual(unfinished, [], 'no row is half done');
  assert.deepEqual(namesIn(join(store, 'snapshots/s')), rows.map((row) => Number(row['id']).toString(36)).toSorted());
  assert.deepEqual(namesIn(join(store, 'snapshots/w')), []);
}

/** Processes that have this folder in their words, their current folder, or among their mounts; this test's own excepted. */
export function processesOf(folder: string): readonly string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/u.test(name) && Number(name) !== process.pid)
    .flatMap((id) => {
      try {
        const words = readFileSync(`/proc/${id}/cmdline`, 'utf8').replaceAll('\0', ' ');
        const about = `${words} ${readlinkSync(`/proc/${id}/cwd`)} ${readFileSync(`/proc/${id}/environ`, 'latin1')}`;
        const mounts = readFileSync(`/proc/${id}/mounts`, 'utf8')
          .split('\n')
          .filter((line) => line.includes(folder) && !line.includes(' tmpfs '));
        return about.includes(folder) || mounts.length > 0 ? [`${id}: ${words}`] : [];
      } catch {
        return []; // it has ended meanwhile
      }
    });
}

/** Until nobody is at work in this store; its caretaker, which has the lowest priority, may still be after a command. */
export async function untilIdle(store: string): Promise<void> {
  assert.deepEqual(await settled(() => processesOf(store)), [], 'somebody is at work in the store');
}

/** The caretaker of the store may still be at work, with the lowest priority: gives it some minutes to end. */
async function settled(look: () => readonly string[]): Promise<readonly string[]> {
  for (let round = 0; round < 3000; round++) {
    if (look().length === 0) return [];
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return look();
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder).toSorted();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
