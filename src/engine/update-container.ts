/** `update`: other limits and another restart policy for a container that is there, also while it runs. Rules and words are the docker daemon's. */
import { JettisonError } from '#ground/base/errors.ts';
import type { Container } from '#execution/container/store.ts';
import type { ContainerSettings } from '#execution/container/settings.ts';
import type { RestartPolicy } from '#execution/container/spec.ts';
import { askContainer } from '#execution/worker/control.ts';
import { requireLimits } from '#execution/worker/limits.ts';
import { isUp } from './containers.ts';
import { noteContainer } from './note-events.ts';
import type { Engine } from './open.ts';

type Limits = ContainerSettings['limits'];

export type UpdateRequest = {
  /** What is left out stays. */
  readonly limits: Omit<Limits, 'cgroupParent'>;
  /** Units of 10^-9 processors, where that is how the quota in `limits` was asked for; 0: it was not. */
  readonly nanoCpus: number;
  readonly restart: RestartPolicy | undefined;
};

/** What runs has the limits when this returns, and all keep them for their next starts. Throws `engine/bad-update`, and `runtime/limit-...` for what the kernel does not do: then nothing is kept. */
export async function updateContainer(engine: Engine, container: Container, request: UpdateRequest, signal: AbortSignal): Promise<void> {
  const { spec, id, state } = container;
  if (spec.autoRemove && request.restart !== undefined && request.restart.policy !== 'no')
    throw new JettisonError('engine/bad-update', 'Restart policy cannot be updated because AutoRemove is enabled for the container');
  const limits = mergeLimits(spec.settings, request);
  const isLimited = Object.keys(request.limits).length > 0;
  if (isLimited) requireLimits(limits);
  if (isLimited && isUp(state) && state.kind !== 'restarting') {
    const { cgroupParent: _, ...changed } = limits;
    await askContainer(engine.containers.folder(id), { kind: 'limit', limits: changed }, signal);
  }
  const now = engine.containers.find(id)?.spec ?? spec;
  engine.containers.changeSpec(id, {
    ...now,
    restart: request.restart ?? now.restart,
    settings: { ...now.settings, limits, nanoCpus: request.nanoCpus === 0 ? now.settings.nanoCpus : request.nanoCpus },
  });
  noteContainer(engine, container, 'update');
}

function mergeLimits({ limits, nanoCpus }: ContainerSettings, asked: UpdateRequest): Limits {
  const { memory, memorySwap, cpuPeriod, cpuQuota } = asked.limits;
  if (asked.nanoCpus > 0 && nanoCpus === 0) {
    if (limits.cpuPeriod !== undefined) throw conflict('Nano CPUs cannot be updated as CPU Period has already been set');
    if (limits.cpuQuota !== undefined) throw conflict('Nano CPUs cannot be updated as CPU Quota has already been set');
  }
  if (asked.nanoCpus === 0 && nanoCpus > 0) {
    if (cpuPeriod !== undefined) throw conflict('CPU Period cannot be updated as NanoCPUs has already been set');
    if (cpuQuota !== undefined) throw conflict('CPU Quota cannot be updated as NanoCPUs has already been set');
  }
  // Without a word of swap it was as much as memory, and it stays.
  const swap = limits.memorySwap ?? (limits.memory === undefined ? undefined : limits.memory * 2);
  if (memory !== undefined && memorySwap === undefined && swap !== undefined && swap !== -1 && memory > swap) {
    throw new JettisonError(
      'engine/bad-update',
      'Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time',
      { hint: 'Add "--memory-swap", which counts memory and swap' },
    );
  }
  const merged = { ...limits, ...asked.limits };
  if (memorySwap !== undefined && memorySwap !== -1 && memorySwap < (merged.memory ?? 0)) {
    throw new JettisonError('engine/bad-update', 'Minimum memoryswap limit should be larger than memory limit, see usage');
  }
  if (memorySwap !== undefined && merged.memory === undefined)
    throw new JettisonError('engine/bad-update', 'You should always set the Memory limit when using Memoryswap limit, see usage');
  if (merged.memoryReservation !== undefined && merged.memory !== undefined && merged.memory < merged.memoryReservation)
    throw new JettisonError('engine/bad-update', 'Minimum memory limit can not be less than memory reservation limit, see usage');
  return swap === undefined || memorySwap !== undefined ? merged : { ...merged, memorySwap: swap };
}

function conflict(what: string): JettisonError {
  return new JettisonError('engine/bad-update', `Conflicting options: ${what}`);
}
