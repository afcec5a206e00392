/** Whose a file with this in its name is: a process is known by its number, its start time and the boot, so that a number used again is not taken for it. */
import { readFileSync } from 'node:fs';
import { bootId } from './boot.ts';
import { systemCode } from './errors.ts';

export type ProcessIdentity = { readonly pid: number; readonly start: string; readonly boot: string };

export function thisProcess(): ProcessIdentity {
  return { pid: process.pid, start: startOf(process.pid) ?? '0', boot: shortBoot() };
}

/** Is the process that wrote this still running? (It must live in the same pid namespace as we do.) */
export function isAlive(owner: ProcessIdentity): boolean {
  return owner.boot === shortBoot() && startOf(owner.pid) === owner.start;
}

/** Clock ticks from boot to the start of a process: field 22 of /proc/PID/stat, counted behind the name, which may hold anything. */
function startOf(pid: number): string | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes(systemCode(error) ?? '')) return undefined;
    throw error;
  }
}

function shortBoot(): string {
  return bootId().replaceAll('-', '').slice(0, 12);
}
