/** Whose a file with this in its name is: a process is known by its number, its start time and the boot, so that a number used again is not taken for it. */
import { readFileSync, readlinkSync, statSync } from 'node:fs';
import { bootId } from './boot.ts';
import { systemCode } from './errors.ts';

/** `boot` has hexadecimal digits: twelve of the boot, the others of the pid namespace in which the process has its number. */
export type ProcessIdentity = { readonly pid: number; readonly start: string; readonly boot: string };

const bootDigits = 12;
/** Milliseconds. Whoever writes a file does not rest for so long. */
const longRest = 3_600_000;

export function thisProcess(): ProcessIdentity {
  return { pid: process.pid, start: startOf(process.pid) ?? '0', boot: bootAndNamespace() };
}

/**
 * Is the process that writes the file `path` still running? Of one in another container of this machine only the file tells: whether it was written to in the last hour.
 * One of another boot is dead.
 */
export function isAlive(owner: ProcessIdentity, path: string): boolean {
  const here = bootAndNamespace();
  if (owner.boot === here) return startOf(owner.pid) === owner.start;
  if (owner.boot.slice(0, bootDigits) !== here.slice(0, bootDigits)) return false;
  const modified = statSync(path, { throwIfNoEntry: false })?.mtimeMs;
  return modified !== undefined && Math.abs(Date.now() - modified) < longRest;
}

/** Clock ticks from boot to the start of a process: field 22 of /proc/PID/stat, counted behind the name, which may hold anything. Undefined when it is not there, has ended, or may not be looked at. */
export function startOf(pid: number): string | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
  } catch (error) {
    if (['ENOENT', 'ESRCH', 'EACCES', 'EPERM'].includes(systemCode(error) ?? '')) return undefined;
    throw error;
  }
}

function bootAndNamespace(): string {
  const namespace = /\d+/u.exec(readlinkSync('/proc/self/ns/pid'))?.[0] ?? '0';
  return `${bootId().replaceAll('-', '').slice(0, bootDigits)}${Number(namespace).toString(16)}`;
}
