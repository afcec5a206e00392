/** What the processes of a run use: as its cgroup counts it where it has one with that controller, else as the processes themselves are counted. */
import { existsSync, readFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import { systemCode } from '#ground/base/errors.ts';
import { processesOf } from '#ground/linux/container-processes.ts';
import { readDiskTraffic, readMemory, readNetworkTraffic, readProcess, ticksPerSecond, type Traffic } from '#ground/linux/process-table.ts';

/** `cgroup`: the kernel counted for the run; `processes`: the sum of those that live, and of what they waited for. */
export type CountedBy = 'cgroup' | 'processes';

export type Usage = {
  /** Nanoseconds of processor time since the beginning. */
  readonly cpu: number;
  /** Bytes. Without a limit, `memoryLimit` is what the machine has. */
  readonly memory: number;
  readonly memoryLimit: number;
  /** Bytes over the network that the run sees, and from and to disks. */
  readonly network: Traffic;
  readonly disk: Traffic;
  /** Processes and threads. */
  readonly pids: number;
  readonly countedBy: { readonly cpu: CountedBy; readonly memory: CountedBy; readonly disk: CountedBy };
};

/** A cgroup of the run. `isWhole`: the run has stood in it from its beginning; else only its limits are the run's, not all that it counts. */
export type CountingFolder = { readonly version: 1 | 2; readonly folder: string; readonly isWhole: boolean };

const nanosecondsPerTick = 1e9 / ticksPerSecond;

/** `first`: the first process of the run, as this process counts. */
export function measureRun(first: number, folders: readonly CountingFolder[]): Usage {
  const pids = processesOf(first);
  const entries = pids.flatMap((pid) => readProcess(pid) ?? []);
  const whole = folders.filter(({ isWhole }) => isWhole);
  const cpu = firstOf(whole, cpuOf);
  const memory = firstOf(whole, memoryOf);
  const disk = firstOf(whole, diskOf);
  return {
    cpu: cpu ?? entries.reduce((sum, { ticks, childTicks }) => sum + ticks + childTicks, 0) * nanosecondsPerTick,
    memory: memory ?? pids.reduce((sum, pid) => sum + readMemory(pid), 0),
    memoryLimit: Math.min(firstOf(folders, memoryLimitOf) ?? Infinity, totalmem()),
    network: readNetworkTraffic(first),
    disk: disk ?? pids.map(readDiskTraffic).reduce(addTraffic, { in: 0, out: 0 }),
    // The cgroup counts the runtime that waits in it, too.
    pids: entries.reduce((sum, { threads }) => sum + threads, 0),
    countedBy: { cpu: countedBy(cpu), memory: countedBy(memory), disk: countedBy(disk) },
  };
}

function countedBy(found: unknown): CountedBy {
  return found === undefined ? 'processes' : 'cgroup';
}

function addTraffic(one: Traffic, other: Traffic): Traffic {
  return { in: one.in + other.in, out: one.out + other.out };
}

function firstOf<T>(folders: readonly CountingFolder[], read: (folder: CountingFolder) => T | undefined): T | undefined {
  for (const folder of folders) {
    const found = read(folder);
    if (found !== undefined) return found;
  }
  return undefined;
}

function cpuOf({ version, folder }: CountingFolder): number | undefined {
  if (version === 1) return readNumber(join(folder, 'cpuacct.usage'));
  const microseconds = readLine(join(folder, 'cpu.stat'), 'usage_usec');
  return microseconds === undefined ? undefined : microseconds * 1000;
}

/** Without what was read of files and not asked for of late, which goes as soon as anybody wants memory: as docker counts it. */
function memoryOf({ version, folder }: CountingFolder): number | undefined {
  const [usage, statistic] =
    version === 1 ? (['memory.usage_in_bytes', 'total_inactive_file'] as const) : (['memory.current', 'inactive_file'] as const);
  const all = readNumber(join(folder, usage));
  if (all === undefined) return undefined;
  const idle = readLine(join(folder, 'memory.stat'), statistic) ?? 0;
  return idle < all ? all - idle : all;
}

function memoryLimitOf({ version, folder }: CountingFolder): number | undefined {
  return readNumber(join(folder, version === 1 ? 'memory.limit_in_bytes' : 'memory.max'));
}

function diskOf({ version, folder }: CountingFolder): Traffic | undefined {
  const [file, read, written] =
    version === 1
      ? (['blkio.throttle.io_service_bytes', /^\d+:\d+ Read (\d+)$/gmu, /^\d+:\d+ Write (\d+)$/gmu] as const)
      : (['io.stat', /\brbytes=(\d+)/gu, /\bwbytes=(\d+)/gu] as const);
  const path = join(folder, file);
  if (!existsSync(path)) return undefined;
  const text = readText(path);
  const sum = (pattern: RegExp): number => [...text.matchAll(pattern)].reduce((before, [, count]) => before + Number(count), 0);
  return { in: sum(read), out: sum(written) };
}

/** undefined for `max`, and where there is no such file. */
function readNumber(file: string): number | undefined {
  const text = readText(file).trim();
  return /^\d+$/u.test(text) ? Number(text) : undefined;
}

function readLine(file: string, name: string): number | undefined {
  const found = new RegExp(`^${name} (\\d+)$`, 'mu').exec(readText(file))?.[1];
  return found === undefined ? undefined : Number(found);
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENODEV') return '';
    throw error;
  }
}
