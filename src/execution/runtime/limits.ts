/** Limits of a process as its cgroup's files take them: cgroup-v1/memory.rst, cgroup-v2.rst of the kernel. Pure. */
import { JettisonError } from '#ground/base/errors.ts';
import type { ResourceLimits } from './contract.ts';

/** `runtime/limit-unsupported`, of whoever is not the machine's root. */
export function cannotLimit(cause?: unknown): JettisonError {
  return new JettisonError('runtime/limit-unsupported', "Cannot set limits: making cgroups takes the rights of the machine's root", {
    fault: 'environment',
    hint: 'Leave them out, or do it as root (isolation "oci")',
    ...(cause === undefined ? {} : { cause }),
  });
}

/** By version 1's names. */
export type Controller = 'memory' | 'cpu' | 'cpuset' | 'pids' | 'blkio';

/** What a controller is called in this version. */
export function controllerName(controller: Controller, version: 1 | 2): string {
  return version === 2 && controller === 'blkio' ? 'io' : controller;
}

/** One file to write. `optional`: where the kernel lacks it, the limit holds without; `instead`: another name of it, of kernels with another scheduler. */
export type LimitFile = {
  readonly controller: Controller;
  readonly file: string;
  readonly instead?: string;
  readonly value: string;
  readonly optional?: true;
};

const standardPeriod = 100_000;

/** In the order in which they have to be written. */
export function limitFiles(limits: ResourceLimits, controller: Controller, version: 1 | 2): readonly LimitFile[] {
  const files = version === 1 ? filesOfOne(limits) : filesOfTwo(limits);
  return files.flatMap((each) => (each.controller === controller && each.value !== undefined ? [{ ...each, value: each.value }] : []));
}

/** The controllers that the limits need. */
export function controllersOf(limits: ResourceLimits): readonly Controller[] {
  return [...new Set(filesOfOne(limits).flatMap(({ controller, value }) => (value === undefined ? [] : [controller])))];
}

type Draft = Omit<LimitFile, 'value'> & { readonly value: string | undefined };

function filesOfOne(limits: ResourceLimits): readonly Draft[] {
  const both = memoryAndSwap(limits);
  return [
    { controller: 'memory', file: 'memory.limit_in_bytes', value: text(limits.memory) },
    { controller: 'memory', file: 'memory.memsw.limit_in_bytes', value: text(both), ...swapIsAsked(limits) },
    { controller: 'memory', file: 'memory.soft_limit_in_bytes', value: text(limits.memoryReservation) },
    { controller: 'memory', file: 'memory.swappiness', value: text(limits.memorySwappiness) },
    { controller: 'cpu', file: 'cpu.shares', value: text(limits.cpuShares) },
    { controller: 'cpu', file: 'cpu.cfs_period_us', value: text(limits.cpuPeriod) },
    { controller: 'cpu', file: 'cpu.cfs_quota_us', value: text(limits.cpuQuota) },
    { controller: 'cpuset', file: 'cpuset.cpus', value: limits.cpusetCpus },
    { controller: 'cpuset', file: 'cpuset.mems', value: limits.cpusetMems },
    { controller: 'pids', file: 'pids.max', value: pidsOf(limits) },
    { controller: 'blkio', file: 'blkio.weight', instead: 'blkio.bfq.weight', value: text(limits.blkioWeight) },
  ];
}

function filesOfTwo(limits: ResourceLimits): readonly Draft[] {
  const both = memoryAndSwap(limits);
  const swap = both === undefined ? undefined : both === -1 ? 'max' : String(both - (limits.memory ?? 0));
  const { cpuPeriod, cpuQuota } = limits;
  const quota = cpuQuota === undefined || cpuQuota < 0 ? 'max' : String(cpuQuota);
  const isCpuLimited = cpuPeriod !== undefined || cpuQuota !== undefined;
  return [
    { controller: 'memory', file: 'memory.max', value: limits.memory === -1 ? 'max' : text(limits.memory) },
    { controller: 'memory', file: 'memory.swap.max', value: swap, ...swapIsAsked(limits) },
    { controller: 'cpu', file: 'cpu.weight', value: limits.cpuShares === undefined ? undefined : text(weightOf(limits.cpuShares)) },
    { controller: 'cpu', file: 'cpu.max', value: isCpuLimited ? `${quota} ${cpuPeriod ?? standardPeriod}` : undefined },
    { controller: 'cpuset', file: 'cpuset.cpus', value: limits.cpusetCpus },
    { controller: 'cpuset', file: 'cpuset.mems', value: limits.cpusetMems },
    { controller: 'memory', file: 'memory.low', value: text(limits.memoryReservation) },
    // Version 2 has no such file: that it is missing is what the user is told.
    { controller: 'memory', file: 'memory.swappiness', value: text(limits.memorySwappiness) },
    { controller: 'pids', file: 'pids.max', value: pidsOf(limits) },
    { controller: 'blkio', file: 'io.bfq.weight', instead: 'io.weight', value: text(limits.blkioWeight) },
  ];
}

function pidsOf({ pids }: ResourceLimits): string | undefined {
  return pids === -1 ? 'max' : text(pids);
}

/** Docker's default: as much swap as memory. -1: without a limit. */
function memoryAndSwap({ memory, memorySwap }: ResourceLimits): number | undefined {
  return memorySwap ?? (memory === undefined ? undefined : memory * 2);
}

function swapIsAsked({ memorySwap }: ResourceLimits): { readonly optional?: true } {
  return memorySwap === undefined ? { optional: true } : {};
}

/** Shares of version 1 (2 to 262144) as a weight of version 2 (1 to 10000), as crun and runc reckon. */
function weightOf(shares: number): number {
  const bounded = Math.min(Math.max(shares, 2), 262_144);
  return 1 + Math.floor(((bounded - 2) * 9999) / 262_142);
}

function text(value: number | undefined): string | undefined {
  return value === undefined ? undefined : String(value);
}
