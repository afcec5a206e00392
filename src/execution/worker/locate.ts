/** Which process of this namespace a process of a worker is. */
import type { Isolation } from '#ground/linux/isolation.ts';
import { findBelow, idsOf } from '#ground/linux/nested-processes.ts';

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
