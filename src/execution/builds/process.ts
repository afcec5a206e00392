/** Is the process that makes a build still there? */
import { readFileSync } from 'node:fs';
import { systemCode } from '#ground/base/errors.ts';

/** This process, as `isRunning` knows it again: its number, and when the kernel started it (proc_pid_stat(5), field 22). */
export function thisProcess(): string {
  return `${process.pid} ${startOf(process.pid) ?? ''}`;
}

export function isRunning(identity: string): boolean {
  const [pid = '', start] = identity.split(' ');
  const found = /^\d+$/u.test(pid) ? startOf(Number(pid)) : undefined;
  return found !== undefined && found === start;
}

function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name of the program stands in brackets and may hold anything.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    return undefined;
  }
}
