/** Limits of the processes of RUN, in the docker CLI's forms and units. */
import type { BuildRequest, ResourceLimits, Ulimit } from '#engine/build-requests.ts';
import { badValue, list, parsed, text, type ValuesOf } from '../option.ts';
import { readSize } from '../option-values.ts';

export const limitOptions = {
  cgroupParent: text('cgroup-parent', { help: 'Cgroup in which the processes of RUN stand' }),
  cpuPeriod: number('cpu-period', { value: 'int', help: 'CPU time is limited in periods of this many microseconds' }, [1000, 1_000_000]),
  cpuQuota: number('cpu-quota', { value: 'int', help: 'Microseconds of CPU time in each period' }, [1000, Number.MAX_SAFE_INTEGER]),
  cpuShares: number('cpu-shares', { short: 'c', value: 'int', help: 'CPU shares (relative weight)' }, [0, 262_144]),
  cpusetCpus: parsed('cpuset-cpus', { initial: undefined, help: 'CPUs that RUN may use ("0-3", "0,1")' }, (word) =>
    readSet('cpuset-cpus', word),
  ),
  cpusetMems: parsed('cpuset-mems', { initial: undefined, help: 'Memory nodes that RUN may use' }, (word) => readSet('cpuset-mems', word)),
  memory: parsed('memory', { short: 'm', value: 'bytes', initial: undefined, help: 'Memory limit of each RUN' }, readMemory),
  memorySwap: parsed(
    'memory-swap',
    { value: 'bytes', initial: undefined, help: 'Memory and swap together; "-1" for unlimited swap' },
    readSwap,
  ),
  ulimits: list('ulimit', { value: 'ulimit', help: 'Resource limit of RUN: "NAME=SOFT[:HARD]"' }),
};

type Given = ValuesOf<typeof limitOptions>;

/** Throws `cli/bad-value` for limits that do not go together. */
export function readLimits(given: Given): Pick<BuildRequest, 'ulimits' | 'limits' | 'cgroupParent'> {
  const { memory, memorySwap, cpuPeriod, cpuQuota, cpusetCpus, cpusetMems } = given;
  if (memorySwap !== undefined && memorySwap !== -1) {
    if (memory === undefined) throw badValue('memory-swap', String(memorySwap), 'set "--memory", too');
    if (memorySwap < memory)
      throw badValue('memory-swap', String(memorySwap), 'it counts memory and swap, so it is not less than "--memory"');
  }
  const limits: ResourceLimits = {
    ...(memory === undefined ? {} : { memory }),
    ...(memorySwap === undefined || memory === undefined ? {} : { memorySwap }),
    ...(given.cpuShares === undefined ? {} : { cpuShares: given.cpuShares }),
    ...(cpuPeriod === undefined ? {} : { cpuPeriod }),
    ...(cpuQuota === undefined ? {} : { cpuQuota }),
    ...(cpusetCpus === undefined ? {} : { cpusetCpus }),
    ...(cpusetMems === undefined ? {} : { cpusetMems }),
  };
  return {
    ulimits: readUlimits(given.ulimits),
    limits: Object.keys(limits).length === 0 ? undefined : limits,
    cgroupParent: readParent(given.cgroupParent),
  };
}

const ulimitNames = 'core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack'.split(' ');

/** `name=soft[:hard]`, as docker/go-units reads it; the last of a name counts. Sorted by name. */
function readUlimits(given: readonly string[]): readonly Ulimit[] {
  const byName = new Map(given.map(readUlimit).map((ulimit) => [ulimit.name, ulimit]));
  return [...byName.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

function readUlimit(given: string): Ulimit {
  const [, name = '', softWord = '', hardWord = softWord] = /^([^=]*)=([^:]*)(?::([^:]*))?$/u.exec(given) ?? [];
  if (!given.includes('=')) throw badValue('ulimit', given, 'use "NAME=SOFT[:HARD]"');
  if (!ulimitNames.includes(name)) throw badValue('ulimit', given, `invalid ulimit type: ${name} (there is ${ulimitNames.join(', ')})`);
  const [soft, hard] = [softWord, hardWord].map((word) => readUlimitValue(word, given));
  if (soft === undefined || hard === undefined) throw badValue('ulimit', given, 'use whole numbers, or -1 for unlimited');
  if (hard !== -1 && (soft === -1 || soft > hard))
    throw badValue('ulimit', given, `ulimit soft limit must be less than or equal to hard limit: ${soft} > ${hard}`);
  return { name, soft, hard };
}

function readUlimitValue(word: string, given: string): number {
  const value = word === 'infinity' ? -1 : /^-1$|^\d+$/u.test(word) ? Number(word) : Number.NaN;
  if (Number.isSafeInteger(value)) return value;
  throw badValue('ulimit', given, `"${word}" is no whole number, nor -1 or "infinity" for unlimited`);
}

function number(
  long: string,
  names: { readonly short?: string; readonly value: string; readonly help: string },
  [least, most]: readonly [number, number],
) {
  return parsed<number | undefined>(long, { ...names, initial: undefined }, (word) => {
    const value = /^-?\d+$/u.test(word) ? Number(word) : Number.NaN;
    // Docker takes 0 for "not set".
    if (value === 0) return undefined;
    if (value >= least && value <= most) return value;
    throw badValue(long, word, `use a whole number from ${least} to ${most}`);
  });
}

const leastMemory = 6 * 2 ** 20;

function readMemory(word: string): number | undefined {
  if (word === '0') return undefined;
  const memory = readSize('memory', word);
  if (memory < leastMemory) throw badValue('memory', word, 'Minimum memory limit allowed is 6MB');
  return memory;
}

function readSwap(word: string): number | undefined {
  if (word === '0') return undefined;
  return word === '-1' ? -1 : readSize('memory-swap', word);
}

/** cpuset(7), list format. */
function readSet(long: string, word: string): string | undefined {
  if (word === '') return undefined;
  const ranges = word.split(',').map((range) => /^(\d{1,5})(?:-(\d{1,5}))?$/u.exec(range));
  if (ranges.every((range) => range !== null && Number(range[1]) <= Number(range[2] ?? range[1]))) return word;
  throw badValue(long, word, 'use numbers and ranges: "0-3,5"');
}

function readParent(path: string | undefined): string | undefined {
  if (path === undefined || path === '') return undefined;
  if (path.split('/').includes('..') || path.includes('\0')) throw badValue('cgroup-parent', path, 'name a cgroup without ".."');
  return path;
}
