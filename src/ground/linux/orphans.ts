/** Containers whose runtime was killed. */
import { readFileSync, readdirSync } from 'node:fs';
import { systemCode } from '#ground/base/errors.ts';

/**
 * Ids of the processes that are children of this one and the first of a PID namespace of their own. Where this process is the first of its own namespace, those are what
 * a runtime had started that ended without ending it, whatever it had written down by then: while a runtime is there they are its children.
 */
export function orphanedContainers(): readonly number[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/u.test(name)) return [];
    const status = statusOf(name);
    const parent = /^PPid:\t(\d+)$/mu.exec(status)?.[1];
    // In each namespace from this one's on: see proc(5).
    const ids = /^NSpid:\t(.*)$/mu.exec(status)?.[1]?.split('\t') ?? [];
    return Number(parent) === process.pid && ids.length > 1 && ids.at(-1) === '1' ? [Number(name)] : [];
  });
}

function statusOf(id: string): string {
  try {
    return readFileSync(`/proc/${id}/status`, 'latin1');
  } catch (error) {
    if (systemCode(error) !== 'ENOENT' && systemCode(error) !== 'ESRCH') throw error;
    return '';
  }
}
