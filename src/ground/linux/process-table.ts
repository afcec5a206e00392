/** What the kernel tells of a process and of all that it used: proc(5). */
import { readFileSync } from 'node:fs';
import { systemCode } from '#ground/base/errors.ts';

export type ProcessEntry = {
  readonly pid: number;
  readonly parent: number;
  /** Its effective user. */
  readonly uid: number;
  /** As the kernel keeps it: 15 bytes at most, which may be anything. */
  readonly name: string;
  /** Its words; empty where it has none any more. */
  readonly words: readonly string[];
  /** Number of its terminal; 0 without one. */
  readonly terminal: number;
  readonly threads: number;
  /** Ticks (a hundredth of a second) since the machine began. */
  readonly started: number;
  /** Ticks of processor time: its own, and that of its children that have ended and were waited for. */
  readonly ticks: number;
  readonly childTicks: number;
};

export const ticksPerSecond = 100;

/** undefined when there is no such process. */
export function readProcess(pid: number): ProcessEntry | undefined {
  const stat = readProc(`${pid}/stat`);
  const status = readProc(`${pid}/status`);
  if (stat === '' || status === '') return undefined;
  // The fields begin behind the name, which may hold anything.
  const nameEnd = stat.lastIndexOf(')');
  const fields = stat.slice(nameEnd + 2).split(' ');
  // Field 3 of proc(5) is the first here.
  const field = (number: number): number => Number(fields[number - 3] ?? 0);
  return {
    pid,
    parent: field(4),
    uid: Number(/^Uid:\t\d+\t(\d+)/mu.exec(status)?.[1] ?? 0),
    name: stat.slice(stat.indexOf('(') + 1, nameEnd),
    words: readProc(`${pid}/cmdline`).split('\0').slice(0, -1),
    terminal: field(7),
    threads: field(20),
    started: field(22),
    ticks: field(14) + field(15),
    childTicks: field(16) + field(17),
  };
}

/** When the machine began, seconds since the epoch. */
export function readBootTime(): number {
  return Number(/^btime (\d+)$/mu.exec(readProc('stat'))?.[1] ?? 0);
}

/** Bytes of memory that are this process's: its part of what it shares with others; all of what is in memory where the kernel does not reckon that. */
export function readMemory(pid: number): number {
  const kilobytes =
    /^Pss:\s+(\d+) kB$/mu.exec(readProc(`${pid}/smaps_rollup`))?.[1] ?? /^VmRSS:\s+(\d+) kB$/mu.exec(readProc(`${pid}/status`))?.[1];
  return Number(kilobytes ?? 0) * 1024;
}

export type Traffic = { readonly in: number; readonly out: number };

/** Bytes that it, and those of its children that were waited for, had from disks and brought there. Nothing where this process may not know. */
export function readDiskTraffic(pid: number): Traffic {
  const text = readProc(`${pid}/io`);
  const count = (name: string): number => Number(new RegExp(`^${name}: (\\d+)$`, 'mu').exec(text)?.[1] ?? 0);
  return { in: count('read_bytes'), out: count('write_bytes') };
}

/** Bytes that came and went over the network that a process sees, without its loopback. */
export function readNetworkTraffic(pid: number): Traffic {
  let sum = { in: 0, out: 0 };
  for (const line of readProc(`${pid}/net/dev`).split('\n').slice(2)) {
    const [device = '', counts = ''] = line.split(':');
    if (device.trim() === 'lo' || counts === '') continue;
    const numbers = counts.trim().split(/\s+/u).map(Number);
    sum = { in: sum.in + (numbers[0] ?? 0), out: sum.out + (numbers[8] ?? 0) };
  }
  return sum;
}

/** '' for what is gone, or not for this process to see. */
function readProc(path: string): string {
  try {
    return readFileSync(`/proc/${path}`, 'latin1');
  } catch (error) {
    if (['ENOENT', 'ESRCH', 'EACCES', 'EPERM', 'EINVAL'].includes(systemCode(error) ?? '')) return '';
    throw error;
  }
}
