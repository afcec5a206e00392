/** What the first process of a PID namespace inherits: children whose parents ended first. Node waits for those alone that it has started. */
import { readFileSync } from 'node:fs';
import { systemCode } from '#ground/base/errors.ts';
import { libc } from './libc.ts';
import { childrenOf } from './nested-processes.ts';

const native = { waitpid: libc.func('int waitpid(int, _Out_ int*, int)') };
const noHang = 1;

/**
 * Takes away those children of this process that were dead at the call before, too, and are still: whoever started one takes it within a moment. Until it is taken, the first process of
 * its PID namespace cannot end (pid_namespaces(7)). Give what it gave to the next call.
 */
export function reapInherited(before: ReadonlySet<number>): ReadonlySet<number> {
  const dead = new Set(childrenOf(process.pid).filter(isDead));
  for (const child of dead) {
    if (!before.has(child)) continue;
    native.waitpid(child, new Int32Array(1), noHang);
    dead.delete(child);
  }
  return dead;
}

function isDead(child: number): boolean {
  try {
    return /^State:\tZ/mu.test(readFileSync(`/proc/${child}/status`, 'latin1'));
  } catch (error) {
    if (systemCode(error) !== 'ENOENT' && systemCode(error) !== 'ESRCH') throw error;
    return false;
  }
}
