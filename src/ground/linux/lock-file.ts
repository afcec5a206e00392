/** Locks that end with their process, however it ends: flock(2) on a file. */
import { closeSync, constants, fstatSync, openSync, statSync } from 'node:fs';
import { systemCode } from '#ground/base/errors.ts';
import { lockFile } from './syscall.ts';

export type FileLock = Disposable & { readonly path: string };

/**
 * Takes the lock on `path` (made 0600 when missing), or gives undefined while somebody else holds it against us. With `wait` it blocks
 * the whole process until the lock is free: only for locks held for moments. The file stays when the lock is given back. `ifThere`: a file that is missing is not made, and undefined is
 * given for it.
 */
export function tryLockFile(
  path: string,
  how: { readonly exclusive: boolean; readonly wait: boolean; readonly ifThere?: boolean },
): FileLock | undefined {
  const file = open(path, how.ifThere === true ? 0 : constants.O_CREAT);
  if (file === undefined) return undefined;
  let locked = false;
  try {
    // Whoever removes a lock file does it holding the lock: a lock on a removed file is worth nothing.
    locked = lockFile(file, how) && statSync(path, { throwIfNoEntry: false })?.ino === fstatSync(file).ino;
  } finally {
    if (!locked) closeSync(file);
  }
  if (!locked) return undefined;
  return {
    path,
    [Symbol.dispose]() {
      if (locked) closeSync(file);
      locked = false;
    },
  };
}

function open(path: string, create: number): number | undefined {
  try {
    return openSync(path, constants.O_RDWR | create | constants.O_NOFOLLOW, 0o600);
  } catch (error) {
    if (create === 0 && systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
