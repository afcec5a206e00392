/** Which limits the kernel offers on this machine, by looking at its cgroups: for `info`. Nothing is made or mounted. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { systemCode } from '#ground/base/errors.ts';
import { readHierarchies, type CgroupHierarchy } from '#ground/linux/cgroup.ts';
import type { Controller } from './limits.ts';

/** By what docker calls them. */
export type OfferedLimits = {
  readonly memory: boolean;
  readonly swap: boolean;
  readonly cpuShares: boolean;
  readonly cpuPeriod: boolean;
  readonly cpuQuota: boolean;
  readonly cpuset: boolean;
  readonly pids: boolean;
};

/** Each with what it takes: the file of version 1, and of version 2 where a kernel can have the controller without it. */
const needs: Readonly<Record<keyof OfferedLimits, { readonly controller: Controller; readonly one: string; readonly two?: string }>> = {
  memory: { controller: 'memory', one: 'memory.limit_in_bytes' },
  swap: { controller: 'memory', one: 'memory.memsw.limit_in_bytes', two: 'memory.swap.max' },
  cpuShares: { controller: 'cpu', one: 'cpu.shares' },
  cpuPeriod: { controller: 'cpu', one: 'cpu.cfs_period_us' },
  cpuQuota: { controller: 'cpu', one: 'cpu.cfs_quota_us' },
  cpuset: { controller: 'cpuset', one: 'cpuset.cpus' },
  pids: { controller: 'pids', one: 'pids.max' },
};

export const noLimits: OfferedLimits = {
  memory: false,
  swap: false,
  cpuShares: false,
  cpuPeriod: false,
  cpuQuota: false,
  cpuset: false,
  pids: false,
};

/** `own`: the text of /proc/self/cgroup; `root`: where the hierarchies are mounted. What cannot be seen there is not offered. */
export function offeredLimits(own = readOr('/proc/self/cgroup'), root = '/sys/fs/cgroup'): OfferedLimits {
  const hierarchies = readHierarchies(own);
  const isOffered = (name: keyof OfferedLimits): boolean => {
    const { controller, one, two } = needs[name];
    const first = hierarchies.find(({ version, name: all }) => version === 1 && all.split(',').includes(controller));
    if (first !== undefined) return [first.name, controller].some((folder) => hasFile(join(root, folder), one, controller));
    const unified = hierarchies.find(({ version }) => version === 2);
    return unified !== undefined && unifiedOffers(unified, root, { controller, file: two });
  };
  return {
    memory: isOffered('memory'),
    swap: isOffered('swap'),
    cpuShares: isOffered('cpuShares'),
    cpuPeriod: isOffered('cpuPeriod'),
    cpuQuota: isOffered('cpuQuota'),
    cpuset: isOffered('cpuset'),
    pids: isOffered('pids'),
  };
}

/** The top of the tree of `pids` has no limit of its own. */
function hasFile(folder: string, file: string, controller: Controller): boolean {
  return controller === 'pids' ? existsSync(join(folder, 'cgroup.procs')) : existsSync(join(folder, file));
}

function unifiedOffers(
  { own }: CgroupHierarchy,
  root: string,
  { controller, file }: { readonly controller: Controller; readonly file: string | undefined },
): boolean {
  const top = existsSync(join(root, 'cgroup.controllers')) ? root : join(root, 'unified');
  const controllers = readOr(join(top, 'cgroup.controllers')).trim().split(' ');
  return controllers.includes(controller) && (file === undefined || standsBelow(top, own, file));
}

/** The top has no limits in version 2: the file is looked for where this process stands, above that, and in the cgroups just below the top. */
function standsBelow(top: string, own: string, file: string): boolean {
  for (let at = own; at !== '/' && at !== '.'; at = dirname(at)) if (existsSync(join(top, at, file))) return true;
  return readdirSync(top, { withFileTypes: true }).some((entry) => entry.isDirectory() && existsSync(join(top, entry.name, file)));
}

/** '' where it cannot be read. */
function readOr(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    return '';
  }
}
