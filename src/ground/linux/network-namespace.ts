/**
 * Network namespaces that are held by an open file: when the last process and the last file are gone, the kernel removes them with all that is in them, the devices that lead
 * to them included. This thread can go into one for a moment: sockets opened and programs started there belong to it for good.
 */
import { check, libc } from './libc.ts';
import { AT_FDCWD, closeFile, lockFile, openAt, openFlags } from './syscall.ts';

export type NetworkNamespace = Disposable & {
  /** Open for as long as this is. */
  readonly file: number;
  /** Calls `act` with this thread in the namespace. It must do all it does before it returns, and start no thread (asynchronous file access, DNS): that would stay there. */
  within<T>(act: () => T): T;
};

const native = { unshare: libc.func('int unshare(int)'), setns: libc.func('int setns(int, int)') };
const newNetwork = 0x40000000;
const ownPath = '/proc/thread-self/ns/net';

/** A new one with nothing but `lo`, which is down. Needs CAP_SYS_ADMIN; throws a SystemCallError (`EPERM`). */
export function makeNetworkNamespace(): NetworkNamespace {
  const own = openPath(ownPath);
  try {
    check(native.unshare(newNetwork), 'unshare', 'network');
    try {
      return hold(openPath(ownPath));
    } finally {
      check(native.setns(own, newNetwork), 'setns', ownPath);
    }
  } finally {
    closeFile(own);
  }
}

/** Calls `act` while nobody else holds this thread's network namespace so: the lock is the namespace's own (flock(2)), whatever files its processes see. The whole process waits for it. */
export function withNetworkLock<T>(act: () => T): T {
  const file = openPath(ownPath);
  try {
    lockFile(file, { exclusive: true, wait: true });
    return act();
  } finally {
    closeFile(file);
  }
}

/** The one of a process (`/proc/PID/ns/net`). Throws a SystemCallError (`ENOENT`). */
export function openNetworkNamespace(path: string): NetworkNamespace {
  return hold(openPath(path));
}

function hold(file: number): NetworkNamespace {
  return {
    file,
    within(act) {
      const own = openPath(ownPath);
      try {
        check(native.setns(file, newNetwork), 'setns', 'network');
        try {
          return act();
        } finally {
          check(native.setns(own, newNetwork), 'setns', ownPath);
        }
      } finally {
        closeFile(own);
      }
    },
    [Symbol.dispose]: () => closeFile(file),
  };
}

function openPath(path: string): number {
  return openAt(AT_FDCWD, path, { flags: openFlags.readOnly, resolve: 0 });
}
