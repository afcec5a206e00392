/** What binds processes together where no PID namespace does it: who dies with whom, and who gets the children of the dead (prctl(2)); and what becomes of these children. */
import { readFileSync, readlinkSync } from 'node:fs';
import { systemCode } from '#ground/base/errors.ts';
import { sendSignal } from './child.ts';
import { check, libc } from './libc.ts';
import { childrenOf, childrenOfThread } from './nested-processes.ts';

const native = {
  prctl: libc.func('int prctl(int, unsigned long, unsigned long, unsigned long, unsigned long)'),
  waitpid: libc.func('int waitpid(int, _Out_ int*, int)'),
};
const [setDeathSignal, setSubreaper] = [1, 36];
const killed = 9;
const noHang = 1;

/** From now on the kernel kills this process when the thread of `parent` that started it ends, and orphans below this process become its children. Ends this process at once where `parent` is dead. */
export function tieToParent(parent: number): void {
  check(native.prctl(setDeathSignal, killed, 0, 0, 0), 'prctl', 'PR_SET_PDEATHSIG');
  if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL');
  check(native.prctl(setSubreaper, 1, 0, 0, 0), 'prctl', 'PR_SET_CHILD_SUBREAPER');
}

/**
 * Kills those children of this process that have another root than it: orphans of a step whose keeper was killed. Gives how many there were: to be called until there are
 * none, since each may have children of its own.
 */
export function killChildrenElsewhere(): number {
  const found = childrenOf(process.pid).filter(isElsewhere);
  for (const child of found) {
    sendSignal(child, killed);
    native.waitpid(child, new Int32Array(1), noHang);
  }
  return found.length;
}

/**
 * Takes away those children of this process that were dead at the call before, too, and still are: this thread, the first, takes one that it started within a moment, and Node takes no others.
 * Until then the first process of its PID namespace cannot end (pid_namespaces(7)). Give what it gave to the next call. Those of other threads are left to them: they may be busy, and
 * would wait for ever for an end that somebody else has taken.
 */
export function reapInherited(before: ReadonlySet<number>): ReadonlySet<number> {
  const dead = childrenOfThread(process.pid, process.pid).filter(isDead);
  const [old, young] = [dead.filter((child) => before.has(child)), dead.filter((child) => !before.has(child))];
  for (const child of old) native.waitpid(child, new Int32Array(1), noHang);
  return new Set(young);
}

function isDead(child: number): boolean {
  try {
    return /^State:\tZ/mu.test(readFileSync(`/proc/${child}/status`, 'latin1'));
  } catch (error) {
    if (systemCode(error) !== 'ENOENT' && systemCode(error) !== 'ESRCH') throw error;
    return false;
  }
}

/** Another user's cannot be asked, and this process starts none. What is dead has no root any more; whoever started it waits for it. */
function isElsewhere(child: number): boolean {
  try {
    return readlinkSync(`/proc/${child}/root`) !== '/';
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ENOENT' || code === 'ESRCH') return false;
    if (code === 'EACCES' || code === 'EPERM') return true;
    throw error;
  }
}
