/**
 * Namespaces that this thread goes into by itself, where a program of its own would take too long to start: unshare(2) and setns(2), which take threads for these two kinds.
 * A process is known by its first thread (`/proc/PID/ns`), so call these on it. The other threads of Node's pool, and what they open, stay where they were.
 */
import { statSync } from 'node:fs';
import { check, libc } from './libc.ts';
import { mountFileSystem, mountFlags } from './mount.ts';
import { AT_FDCWD, closeFile, openAt, openFlags } from './syscall.ts';

const native = { unshare: libc.func('int unshare(int)'), setns: libc.func('int setns(int, int)') };
const [newMounts, newProcesses] = [0x20000, 0x20000000];

/** `leave`: the thread goes back to where it came from. False where that is not possible, or `/` would be another folder there. */
export type OwnMounts = { leave(): boolean };

/**
 * From now on this thread, and whatever it starts, has mounts of its own: nobody else sees what it mounts, and with the last process in there they are gone. What this process
 * opens asynchronously (in a thread of the pool) is found as before: whoever mounts here has to open synchronously. Needs CAP_SYS_ADMIN; throws a SystemCallError (`EPERM`).
 */
export function takeOwnMounts(): OwnMounts {
  const before = openAt(AT_FDCWD, '/proc/thread-self/ns/mnt', { flags: openFlags.readOnly, resolve: 0 });
  const { dev, ino } = statSync('/');
  try {
    check(native.unshare(newMounts), 'unshare', 'mounts');
    mountFileSystem({ source: 'none', target: '/', type: '', flags: mountFlags.recursive | mountFlags.private, options: '' });
  } catch (error) {
    closeFile(before);
    throw error;
  }
  return {
    leave() {
      const isBack = native.setns(before, newMounts) === 0;
      closeFile(before);
      const root = statSync('/');
      return isBack && root.dev === dev && root.ino === ino;
    },
  };
}

/** Calls `start`, which starts one process and does not wait: it is the first of a new PID namespace, all of which ends with it. Its /proc is still that of this process. */
export function asFirstProcess<T>(start: () => T): T {
  const own = openAt(AT_FDCWD, '/proc/thread-self/ns/pid', { flags: openFlags.readOnly, resolve: 0 });
  try {
    check(native.unshare(newProcesses), 'unshare', 'processes');
    try {
      return start();
    } finally {
      check(native.setns(own, newProcesses), 'setns', 'processes');
    }
  } finally {
    closeFile(own);
  }
}
