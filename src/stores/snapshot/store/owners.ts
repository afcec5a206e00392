/** Who uses a store: each process holds a lock on its own file in `owners/`. A file that nobody holds is of a process that died. */
import { readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { randomHex } from '#ground/base/random.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { tryLockFile, type FileLock } from '#ground/linux/lock-file.ts';

export type Owner = Disposable & { readonly name: string };

const exclusive = { exclusive: true, wait: false } as const;
const hour = 3_600_000;

/** Joins as a new owner. The file gets its name only once it is locked, so that nobody takes it for a dead one's. */
export function joinOwners(store: string): Owner {
  const name = randomHex(6);
  const path = join(store, 'owners', name);
  const early = join(store, 'owners', `.${name}`);
  const lock = tryLockFile(early, exclusive);
  if (!lock) throw new JettisonError('snapshot/owner-locked', `Cannot lock "${early}"`, { fault: 'environment' });
  renameSync(early, path);
  return {
    name,
    [Symbol.dispose]() {
      rmSync(path, { force: true });
      lock[Symbol.dispose]();
    },
  };
}

/** Names of all owners, dead ones among them. */
export function listOwners(store: string): readonly string[] {
  return readdirSync(join(store, 'owners')).filter((name) => !name.startsWith('.'));
}

/** Is this owner gone, whether it said so or died? */
export function isGone(store: string, name: string): boolean {
  const path = join(store, 'owners', name);
  if (!statSync(path, { throwIfNoEntry: false })) return true;
  using lock = tryLockFile(path, exclusive);
  return lock !== undefined;
}

/** Calls `clean` for each owner that died, holding its lock, and then forgets it if that says so: two processes never clean up after the same one at once. */
export async function reapOwners(store: string, clean: (name: string) => Promise<boolean>): Promise<void> {
  for (const name of readdirSync(join(store, 'owners'))) {
    const path = join(store, 'owners', name);
    if (name.startsWith('.')) {
      if (isOld(path)) rmSync(path, { force: true });
      continue;
    }
    using lock: FileLock | undefined = tryLockFile(path, exclusive);
    if (!lock) continue;
    if (await clean(name)) rmSync(path, { force: true });
  }
}

function isOld(path: string): boolean {
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats !== undefined && Date.now() - stats.mtimeMs > hour;
}
