/** Limits of a container: those that a build has for its steps, and more, in the docker CLI's forms and units. */
import { availableParallelism } from 'node:os';
import type { ContainerSettings } from '#engine/container-requests.ts';
import type { UpdateRequest } from '#engine/update-container.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { badValue, parsed, type ValuesOf } from '../option.ts';
import { readSize } from '../option-values.ts';
import { limitOptions, readLimits } from './build-limits.ts';

export const containerLimitOptions = {
  ...limitOptions,
  cgroupParent: { ...limitOptions.cgroupParent, help: 'Cgroup in which the container stands' },
  cpusetCpus: { ...limitOptions.cpusetCpus, help: 'CPUs that it may use ("0-3", "0,1")' },
  cpusetMems: { ...limitOptions.cpusetMems, help: 'Memory nodes that it may use' },
  memory: { ...limitOptions.memory, help: 'Memory limit' },
  ulimits: { ...limitOptions.ulimits, help: 'Resource limit: "NAME=SOFT[:HARD]"' },
  blkioWeight: within('blkio-weight', 'Block IO, relative weight between 10 and 1000', [10, 1000]),
  cpus: parsed<number>('cpus', { value: 'decimal', initial: 0, help: 'Number of CPUs' }, readCpus),
  memoryReservation: parsed<number | undefined>(
    'memory-reservation',
    { value: 'bytes', initial: undefined, help: 'Memory soft limit' },
    (word) => (word === '0' ? undefined : readSize('memory-reservation', word)),
  ),
  memorySwappiness: parsed<number | undefined>(
    'memory-swappiness',
    { value: 'int', initial: undefined, help: 'How readily memory is swapped out (0 to 100)' },
    readSwappiness,
  ),
  oomScore: parsed<number>(
    'oom-score-adj',
    { value: 'int', initial: 0, help: 'Who is killed first when memory runs out (-1000 to 1000)' },
    readScore,
  ),
  pids: parsed<number | undefined>(
    'pids-limit',
    { value: 'int', initial: undefined, help: 'Limit of processes (-1 for unlimited)' },
    readPids,
  ),
} as const;

type Given = ValuesOf<typeof containerLimitOptions>;

/** Limits of a container that is there: those that do not go together are found when they meet what it has. */
export function readUpdate(
  given: Omit<Given, 'cgroupParent' | 'ulimits' | 'oomScore' | 'memorySwappiness'>,
): Omit<UpdateRequest, 'restart'> {
  const { cpus, ...rest } = given;
  refuseBoth(given);
  const { memorySwap, ...more } = rest;
  const asked = Object.fromEntries(Object.entries({ ...more, memorySwap }).filter(([, value]) => value !== undefined));
  return { limits: { ...asked, ...quotaOf(cpus) }, nanoCpus: Math.round(cpus * 1e9) };
}

function refuseBoth({ cpus, cpuPeriod, cpuQuota }: Pick<Given, 'cpus' | 'cpuPeriod' | 'cpuQuota'>): void {
  if (cpus === 0 || (cpuPeriod === undefined && cpuQuota === undefined)) return;
  throw new JettisonError(
    'cli/usage',
    `Conflicting options: Nano CPUs and CPU ${cpuPeriod === undefined ? 'Quota' : 'Period'} cannot both be set`,
  );
}

function quotaOf(cpus: number): Pick<ContainerSettings['limits'], 'cpuPeriod' | 'cpuQuota'> {
  return cpus === 0 ? {} : { cpuPeriod: period, cpuQuota: Math.round(cpus * period) };
}

/** Throws `cli/bad-value`, `cli/usage` for limits that do not go together. */
export function readContainerLimits(given: Given): Pick<ContainerSettings, 'limits' | 'ulimits' | 'nanoCpus' | 'oomScore'> {
  const { memory, memoryReservation, memorySwappiness, pids, blkioWeight, cpus } = given;
  refuseBoth(given);
  if (memory !== undefined && memoryReservation !== undefined && memory < memoryReservation)
    throw new JettisonError('cli/usage', 'Minimum memory limit can not be less than memory reservation limit, see usage');
  const { limits, ulimits, cgroupParent } = readLimits(given);
  return {
    limits: {
      ...limits,
      ...(cgroupParent === undefined ? {} : { cgroupParent }),
      ...quotaOf(cpus),
      ...(memoryReservation === undefined ? {} : { memoryReservation }),
      ...(memorySwappiness === undefined ? {} : { memorySwappiness }),
      ...(pids === undefined ? {} : { pids }),
      ...(blkioWeight === undefined ? {} : { blkioWeight }),
    },
    ulimits: [...ulimits],
    nanoCpus: Math.round(cpus * 1e9),
    oomScore: given.oomScore,
  };
}

/** Microseconds. */
const period = 100_000;

function readCpus(word: string): number {
  const cpus = /^\d{1,6}(?:\.\d{1,9})?$/u.test(word) ? Number(word) : NaN;
  const here = availableParallelism();
  if (cpus === 0 || (cpus >= 0.01 && cpus <= here)) return cpus;
  throw badValue('cpus', word, `Range of CPUs is from 0.01 to ${here}.00, as there are only ${here} CPUs available`);
}

function readSwappiness(word: string): number | undefined {
  if (word === '-1') return undefined;
  const value = /^\d{1,3}$/u.test(word) ? Number(word) : NaN;
  if (value <= 100) return value;
  throw badValue('memory-swappiness', word, 'Valid memory swappiness range is 0-100');
}

function readScore(word: string): number {
  const value = /^-?\d{1,4}$/u.test(word) ? Number(word) : NaN;
  if (value >= -1000 && value <= 1000) return value;
  throw badValue('oom-score-adj', word, `Invalid value ${word}, range for oom score adj is [-1000, 1000]`);
}

/** Docker takes 0 for "not set". */
function readPids(word: string): number | undefined {
  const value = /^-?\d{1,9}$/u.test(word) ? Number(word) : NaN;
  if (value === 0) return undefined;
  if (value === -1 || value > 0) return value;
  throw badValue('pids-limit', word, 'use a number of processes, or -1 for no limit');
}

function within(long: string, help: string, [least, most]: readonly [number, number]) {
  return parsed<number | undefined>(long, { value: 'uint16', initial: undefined, help }, (word) => {
    const value = /^\d{1,9}$/u.test(word) ? Number(word) : NaN;
    if (value === 0) return undefined;
    if (value >= least && value <= most) return value;
    throw badValue(long, word, `use a number from ${least} to ${most}`);
  });
}
