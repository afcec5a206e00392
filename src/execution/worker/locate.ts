/** Which process of this namespace a process of a worker is: proc(5). */
import { readFileSync } from 'node:fs';
import { systemCode } from '#ground/base/errors.ts';
import type { Isolation } from '#ground/linux/isolation.ts';
import { childrenOf } from '#ground/linux/process-ties.ts';

/**
 * `started`: what the worker was started by; `pid`: as the worker counts. Without namespaces both count alike. Where the kernel does not tell of children (CONFIG_PROC_CHILDREN) only
 * `started` is known.
 */
export function locateProcess(
  started: number,
  isolation: Isolation,
  pid: number,
): { readonly worker: number; readonly hostPid: number | undefined } {
  if (isolation === 'chroot') return { worker: started, hostPid: pid };
  const outside = idsOf(started).length;
  const worker = findBelow(started, (ids) => ids.length === outside + 1 && ids.at(-1) === 1);
  if (worker === undefined) return { worker: started, hostPid: undefined };
  return { worker, hostPid: findBelow(worker, (ids) => ids[outside] === pid) };
}

/** The first, nearest before farther, whose ids in its PID namespaces are as wanted. */
function findBelow(root: number, isWanted: (ids: readonly number[]) => boolean): number | undefined {
  const waiting = [...childrenOf(root)];
  for (let pid = waiting.shift(); pid !== undefined; pid = waiting.shift()) {
    if (isWanted(idsOf(pid))) return pid;
    waiting.push(...childrenOf(pid));
  }
  return undefined;
}

/** In each PID namespace, from this one's on. */
function idsOf(pid: number): readonly number[] {
  return (/^NSpid:\t(.*)$/mu.exec(readText(`/proc/${pid}/status`))?.[1] ?? '').split('\t').map(Number);
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch (error) {
    if (systemCode(error) !== 'ENOENT' && systemCode(error) !== 'ESRCH') throw error;
    return '';
  }
}
