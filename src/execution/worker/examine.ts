/** A worker tries what steps need of the machine: a whole tree, a process in it, files of other owners, limits. */
import { join } from 'node:path';
import { JettisonError } from '#ground/base/errors.ts';
import type { Isolation } from '#ground/linux/isolation.ts';
import { ownRights } from '#ground/linux/own-rights.ts';
import { whyNoOverlay } from '#stores/snapshot/choose-tree.ts';
import { whyRuntimeFails } from '#execution/runtime/choose.ts';
import { createCgroups } from '#execution/runtime/cgroups.ts';
import type { Runtime } from '#execution/runtime/contract.ts';
import type { Examination, Lack } from './contract.ts';

export type Examined = {
  readonly isolation: Isolation;
  /** Folder of the snapshots. */
  readonly snapshots: string;
  /** Folder of the runtime. */
  readonly bundles: string;
  readonly store: string;
  readonly runtime: (signal: AbortSignal) => Promise<Runtime>;
};

export async function examine(on: Examined, signal: AbortSignal): Promise<Examination> {
  const mounts = on.isolation !== 'chroot';
  const overlay = mounts ? whyNoOverlay(on.snapshots) : undefined;
  const missing: Lack[] = overlay === undefined ? [] : [{ what: 'overlay', ...overlay }];
  if (ownRights().hasOneId) missing.push(oneId);
  const { runtime, lack } = await tryRuntime(on, signal);
  if (lack !== undefined) missing.push(lack);
  const limits = mounts ? await tryLimits(on) : noLimits;
  if (limits !== undefined) missing.push(limits);
  return { runtime, missing };
}

const noLimits: Lack = {
  what: 'limits',
  problem: 'Without mounts no cgroup can be made',
  hint: 'Leave limits out, or limit the container that builds',
};

/** What to do about it depends on who the user is, which is not to be seen in here. */
const oneId: Lack = { what: 'ids', problem: 'Steps cannot give files to other users than root, nor run as one', hint: '' };

async function tryRuntime(on: Examined, signal: AbortSignal): Promise<{ readonly runtime: Examination['runtime']; readonly lack?: Lack }> {
  try {
    const runtime = await on.runtime(signal);
    const problem = await whyRuntimeFails(runtime, join(on.isolation === 'chroot' ? runtime.scratch : on.bundles, 'examined'), signal);
    const { name, version } = runtime;
    if (problem === undefined) return { runtime: { name, version } };
    return { runtime: undefined, lack: { what: 'runtime', problem, hint: '' } };
  } catch (error) {
    if (!(error instanceof JettisonError)) throw error;
    return { runtime: undefined, lack: { what: 'runtime', problem: [error.message, ...error.notes].join('; '), hint: error.hint ?? '' } };
  }
}

async function tryLimits({ store, bundles }: Examined): Promise<Lack | undefined> {
  const cgroups = createCgroups({ records: join(store, 'cgroups'), mountPoint: join(bundles, 'cgroups') });
  try {
    await cgroups.open(`doctor-${process.pid}-${Date.now()}`, { memory: 64 * 1024 * 1024, cpuShares: 512 })[Symbol.asyncDispose]();
    return undefined;
  } catch (error) {
    if (!(error instanceof JettisonError)) throw error;
    return { what: 'limits', problem: error.message, hint: error.hint ?? '' };
  }
}
