/** Whether processes are at work, as /proc tells (proc(5)). */
import { readFileSync } from 'node:fs';
import { systemCode } from '#ground/base/errors.ts';

/** `bytes` read and written through system calls, sockets included; `cpu`: milliseconds of processor time. Both can shrink when a process ends. */
export type ProcessActivity = { readonly bytes: number; readonly cpu: number };

/** Of a process and all that descend from it now; undefined when it is gone, or the kernel does not say who descends from it (CONFIG_PROC_CHILDREN). */
export function activityOf(pid: number): ProcessActivity | undefined {
  const pids = [pid];
  let [bytes, cpu, seen] = [0, 0, 0];
  for (const one of pids) {
    const io = readProc(one, 'io');
    const stat = readProc(one, 'stat');
    if (io === undefined || stat === undefined) continue;
    seen++;
    for (const [, count] of io.matchAll(/^[rw]char: (\d+)$/gmu)) bytes += Number(count);
    // After the name, which may hold anything: utime, stime and those of children that have ended are fields 14 to 17, in hundredths of a second.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    for (const field of fields.slice(11, 15)) cpu += Number(field) * 10;
    const children = readProc(one, `task/${one}/children`);
    if (children === undefined && readProc(one, 'stat') !== undefined) return undefined;
    pids.push(...(children ?? '').split(' ').filter(Boolean).map(Number));
  }
  return seen === 0 ? undefined : { bytes, cpu };
}

function readProc(pid: number, name: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'latin1');
  } catch (error) {
    if (['ENOENT', 'ESRCH', 'EACCES'].includes(systemCode(error) ?? '')) return undefined;
    throw error;
  }
}
