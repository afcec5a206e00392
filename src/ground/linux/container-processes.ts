/** The processes of a container, seen from a PID namespace around its own: proc(5). */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { constants } from 'node:os';
import { systemCode } from '#ground/base/errors.ts';
import { sendSignal } from './child.ts';

/** PF_FORKNOEXEC of the kernel's sched.h. */
const forkedOnly = 0x40;
/** A container that starts processes faster than they can be stopped is not waited for. */
const mostRounds = 100;
const { SIGSTOP, SIGCONT } = constants.signals;

/** Has the process become another program since it was forked? False when it is gone. */
export function hasExecuted(pid: number): boolean {
  // The fields begin behind the name, which may hold anything.
  const stat = readText(`/proc/${pid}/stat`);
  const flags = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[6]);
  return stat !== '' && Number.isSafeInteger(flags) && (flags & forkedOnly) === 0;
}

/** Stops every process in the PID namespace of `first`, and in those inside it. */
export function pauseContainer(first: number): void {
  // What forks while it is being stopped has a child that is seen in the next round.
  for (let round = 0; round < mostRounds; round++) {
    const running = processesOf(first).filter((pid) => !isStopped(pid));
    if (running.length === 0) return;
    for (const pid of running) sendSignal(pid, SIGSTOP);
  }
}

export function resumeContainer(first: number): void {
  // The first one last: it may wait for what the others do.
  for (const pid of processesOf(first).toReversed()) sendSignal(pid, SIGCONT);
}

/** Ids of the processes of the container whose first process is `first`, lowest first: those in its PID namespace or in one inside it. */
export function processesOf(first: number): readonly number[] {
  const own = namespaceOf(first);
  if (own === undefined) return [];
  const depth = depthOf(first);
  return readdirSync('/proc')
    .filter((name) => /^\d+$/u.test(name))
    .map(Number)
    .toSorted((a, b) => a - b)
    .filter((pid) => namespaceOf(pid) === own || (depthOf(pid) > depth && isBelow(pid, first)));
}

function namespaceOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`);
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    return undefined;
  }
}

/** How many PID namespaces a process is in, from this one's on. */
function depthOf(pid: number): number {
  return /^NSpid:\t(.*)$/mu.exec(readText(`/proc/${pid}/status`))?.[1]?.split('\t').length ?? 0;
}

function isBelow(pid: number, ancestor: number): boolean {
  for (let at = pid; at > 1; at = Number(/^PPid:\t(\d+)$/mu.exec(readText(`/proc/${at}/status`))?.[1] ?? 0))
    if (at === ancestor) return true;
  return false;
}

/** Stopped, or at its end. */
function isStopped(pid: number): boolean {
  const stat = readText(`/proc/${pid}/stat`);
  return stat === '' || 'TtZX'.includes(stat[stat.lastIndexOf(')') + 2] ?? 'X');
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch (error) {
    if (systemCode(error) !== 'ENOENT' && systemCode(error) !== 'ESRCH') throw error;
    return '';
  }
}
