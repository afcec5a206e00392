/** Folders that outlive a build: `RUN --mount=type=cache`. Their ids are hashed, never paths; their content is as hostile as any image's. */
import { createHash } from 'node:crypto';
import { chmodSync, chownSync, mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Mount } from '#formats/graph/op.ts';
import { fromText } from '#ground/base/byte-string.ts';
import { JettisonError, systemCode } from '#ground/base/errors.ts';
import { tryLockFile, type FileLock } from '#ground/linux/lock-file.ts';
import { openRoot } from '#ground/linux/rooted-path.ts';
import { mountFileSystem, mountFlags, unmount } from '#ground/linux/syscall.ts';

export type CacheMount = Extract<Mount, { kind: 'cache' }>;
export type OpenCache = Disposable & {
  /** Where the folder is mounted for as long as it is open: however its content changes, this stays the folder that was found. */
  readonly source: string;
};
export type CachePlaces = {
  /** The folder of all cache mounts. */
  readonly cacheMounts: string;
  /** A path in a folder of this process's own, where nothing is yet. */
  readonly mountAt: string;
};

const retryDelay = 100;

/**
 * Takes the folder of a cache id, made when missing (`<cacheMounts>/<hash of the id>/<n>`). `shared`: with everybody; `locked`: waits until nobody else has
 * it; `private`: another folder when somebody has it. Throws `ops/not-built` for a cache that starts as a copy.
 */
export async function openCache(mount: CacheMount, { cacheMounts, mountAt }: CachePlaces, signal: AbortSignal): Promise<OpenCache> {
  if (mount.input !== null) {
    throw new JettisonError('ops/not-built', 'A cache mount with "from" is not built yet', {
      hint: 'Copy the files into the cache in the RUN itself',
    });
  }
  const place = join(cacheMounts, createHash('sha256').update(mount.id).digest('hex'));
  const { folder, lock } = await takeInstance(mount, place, signal);
  using undo = new DisposableStack();
  undo.use(lock);
  const root = undo.use(openRoot(makeData(folder, mount)));
  const inner = fromText(mount.source.replaceAll(/^\/+|\/+$/gu, ''));
  const look = { mode: mount.mode, uid: mount.uid, gid: mount.gid };
  using opened = root.openFolder(inner, () => look);
  mkdirSync(mountAt);
  undo.defer(() => rmdirSync(mountAt));
  mountFileSystem({ source: `/proc/self/fd/${opened.file}`, target: mountAt, type: '', flags: mountFlags.bind, options: '' });
  undo.defer(() => unmount(mountAt));
  const stack = undo.move();
  return { source: mountAt, [Symbol.dispose]: () => stack.dispose() };
}

async function takeInstance(
  mount: CacheMount,
  place: string,
  signal: AbortSignal,
): Promise<{ readonly folder: string; readonly lock: FileLock }> {
  for (let number = 0; ;) {
    signal.throwIfAborted();
    const folder = join(place, String(number));
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const lock = tryLockFile(join(folder, 'lock'), { exclusive: mount.sharing !== 'shared', wait: false });
    if (lock) return { folder, lock };
    if (mount.sharing === 'private') number++;
    else await pause(retryDelay);
  }
}

function makeData(folder: string, { mode, uid, gid }: CacheMount): string {
  const data = join(folder, 'data');
  try {
    mkdirSync(data, { mode: 0o700 });
    chownSync(data, uid, gid);
    chmodSync(data, mode);
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
  }
  return data;
}

async function pause(milliseconds: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  setTimeout(resolve, milliseconds);
  await promise;
}
