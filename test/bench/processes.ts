/**
 * Memory of process trees, read from /proc. /proc/PID/task/TID/children is missing on kernels without CONFIG_PROC_CHILDREN, so parents
 * are read from each new process's stat; a process once known to be foreign is not looked at again.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

export type Memory = {
  /** Largest sum of resident sets over the tree at any sample, in bytes. Pages that processes share count once for each. */
  readonly sum: number;
  /** Largest peak resident set (VmHWM) of any one process of the tree, in bytes. */
  readonly largest: number;
};

export type Watch = { /** Ends the watch. */ stop(): Memory };

/** Milliseconds between two looks: close together at first, since a no-op build takes some 50 ms. */
const earlyPause = 8;
const latePause = 25;
const early = 400;

/** Watches the processes `roots` and everything that descends from them, also what starts later. */
export function watchMemory(roots: readonly number[]): Watch {
  const started = performance.now();
  const ours = new Set(roots);
  const foreign = new Set<number>();
  let [sum, largest] = [0, 0];
  let timer: NodeJS.Timeout | undefined;
  const look = (): void => {
    findNew(ours, foreign);
    let now = 0;
    for (const pid of ours) {
      const memory = readMemory(pid);
      if (memory === undefined) continue;
      now += memory.resident;
      largest = Math.max(largest, memory.peak);
    }
    sum = Math.max(sum, now, largest);
    timer = setTimeout(look, performance.now() - started < early ? earlyPause : latePause);
  };
  look();
  return {
    stop: () => {
      clearTimeout(timer);
      return { sum, largest };
    },
  };
}

/** Adds the processes that have appeared to `ours` (their parent is in it) or to `foreign`; forgets those that are gone. */
function findNew(ours: Set<number>, foreign: Set<number>): void {
  const alive = new Set<number>();
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    alive.add(pid);
    if (ours.has(pid) || foreign.has(pid)) continue;
    const parent = readParent(pid);
    if (parent === undefined) continue;
    (ours.has(parent) ? ours : foreign).add(pid);
  }
  for (const known of [ours, foreign]) for (const pid of known) if (!alive.has(pid)) known.delete(pid);
}

/** proc_pid_stat(5): the fourth field, after the name in brackets, which may hold anything. */
function readParent(pid: number): number | undefined {
  const text = readProc(`/proc/${pid}/stat`);
  return text === undefined ? undefined : Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[1]);
}

function readMemory(pid: number): { readonly resident: number; readonly peak: number } | undefined {
  const text = readProc(`/proc/${pid}/status`);
  if (text === undefined) return undefined;
  const kilobytes = (field: string): number => Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'mu').exec(text)?.[1] ?? 0) * 1024;
  return { resident: kilobytes('VmRSS'), peak: kilobytes('VmHWM') };
}

function readProc(file: string): string | undefined {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return undefined; // it has ended
  }
}

/** The process that listens on the unix socket `path`, and its descendants: a peer's daemons. Service managers that hold it too are left out. */
export function findListeners(path: string): readonly number[] {
  const inodes = readFileSync('/proc/net/unix', 'utf8')
    .split('\n')
    .filter((line) => line.endsWith(` ${path}`))
    .map((line) => line.trim().split(/\s+/u)[6]);
  const sockets = new Set(inodes.map((inode) => `socket:[${inode}]`));
  const found = readdirSync('/proc')
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && pid > 1 && holdsOneOf(pid, sockets));
  const tree = new Set(found);
  let before: number;
  do {
    before = tree.size;
    findNew(tree, new Set());
  } while (tree.size > before);
  return [...tree];
}

function holdsOneOf(pid: number, sockets: ReadonlySet<string>): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => sockets.has(readlinkSync(`/proc/${pid}/fd/${fd}`)));
  } catch {
    return false;
  }
}

/** Waits until no process has `text` in its words, at most `most` milliseconds: what a builder leaves running must not disturb the next one. */
export async function waitUntilGone(text: string, most: number): Promise<void> {
  for (const end = performance.now() + most; performance.now() < end; await sleep(50)) {
    const pids = readdirSync('/proc')
      .map(Number)
      .filter((pid) => Number.isInteger(pid) && pid !== process.pid);
    if (!pids.some((pid) => readProc(`/proc/${pid}/cmdline`)?.includes(text))) return;
  }
}
