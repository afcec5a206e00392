/** Who started whom, and the numbers of processes in PID namespaces inside this one's: proc(5). */
import { readdirSync, readFileSync } from 'node:fs';
import { systemCode } from '#ground/base/errors.ts';

/** The first below a process, nearest before farther, whose ids in its PID namespaces are as wanted; none where the kernel does not tell of children (CONFIG_PROC_CHILDREN). */
export function findBelow(root: number, isWanted: (ids: readonly number[]) => boolean): number | undefined {
  const waiting = childrenOf(root);
  for (let pid = waiting.shift(); pid !== undefined; pid = waiting.shift()) {
    if (isWanted(idsOf(pid))) return pid;
    waiting.push(...childrenOf(pid));
  }
  return undefined;
}

/** In each PID namespace, from this one's on; empty when it has ended. */
export function idsOf(pid: number): readonly number[] {
  return (/^NSpid:\t(.*)$/mu.exec(readText(`/proc/${pid}/status`))?.[1] ?? '').split('\t').map(Number);
}

/** Ids of the children of a process; none where it has ended, or the kernel does not tell (CONFIG_PROC_CHILDREN). */
export function childrenOf(parent: number): number[] {
  return threadsOf(parent).flatMap((thread) => childrenOfThread(parent, thread));
}

/** Those that one thread started, or, of the first thread (`parent` itself), that the process was given when their own parent ended. */
export function childrenOfThread(parent: number, thread: number | string): number[] {
  return readText(`/proc/${parent}/task/${thread}/children`).split(' ').filter(Boolean).map(Number);
}

function threadsOf(pid: number): readonly string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT' && systemCode(error) !== 'ESRCH') throw error;
    return [];
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch (error) {
    if (systemCode(error) !== 'ENOENT' && systemCode(error) !== 'ESRCH') throw error;
    return '';
  }
}
