/** `stats`: what containers use, look after look. */
import { readlinkSync } from 'node:fs';
import { systemCode } from '#ground/base/errors.ts';
import { sleep } from '#ground/base/retry.ts';
import type { Container } from '#execution/container/store.ts';
import { askUsage, type Usage } from '#execution/worker/control.ts';
import { processOfContainer } from './container-process.ts';
import { isUp } from './containers.ts';
import { findContainer } from './find-container.ts';
import type { Engine } from './open.ts';

export type ContainerStats = {
  readonly id: string;
  readonly name: string;
  /** Hundredths of one processor, since the look before. */
  readonly cpuPercent: number;
  /** undefined for one that does not run. */
  readonly usage: Usage | undefined;
};

export type StatsWish = {
  /** None: those that run, or with `all` all. */
  readonly names: readonly string[];
  readonly all: boolean;
};

export type StatsReader = {
  /** In the order of the names, else newest first. Throws `engine/no-such-container` and what a container refuses with. */
  look(signal: AbortSignal): Promise<readonly ContainerStats[]>;
};

/** Milliseconds between the two looks that the first numbers are made of. */
const firstPause = 500;

type Look = { readonly at: number; readonly cpu: number };

export function createStatsReader(engine: Engine, { names, all }: StatsWish): StatsReader {
  const before = new Map<string, Look>();
  const chosen = (): readonly Container[] =>
    names.length > 0
      ? names.map((name) => findContainer(engine, name))
      : engine.containers.list().filter(({ state }) => all || isUp(state));
  const lookAt = async (container: Container, signal: AbortSignal): Promise<ContainerStats> => {
    const { id, name, state } = container;
    const runs = state.kind === 'running' || state.kind === 'paused';
    const usage = runs ? await askUsage(engine.containers.folder(id), signal) : undefined;
    const at = performance.now();
    const last = before.get(id);
    if (usage === undefined) before.delete(id);
    else before.set(id, { at, cpu: usage.cpu });
    return {
      id,
      name,
      cpuPercent: shareOf(last, { at, cpu: usage?.cpu ?? 0 }),
      usage: usage && withoutMachineNetwork(engine, container, usage),
    };
  };
  return {
    async look(signal) {
      const fresh = chosen().filter(({ id }) => !before.has(id));
      if (fresh.length > 0) {
        await Promise.all(fresh.map(async (container) => await lookAt(container, signal)));
        await sleep(firstPause, signal);
      }
      return await Promise.all(chosen().map(async (container) => await lookAt(container, signal)));
    },
  };
}

/** Processes that ended without anybody waiting for them take their time with them: then the sum is less than before. */
function shareOf(last: Look | undefined, { at, cpu }: Look): number {
  if (last === undefined || at <= last.at) return 0;
  return Math.max(0, ((cpu - last.cpu) / ((at - last.at) * 1e6)) * 100);
}

/** What goes over the machine's own network is not the container's. */
function withoutMachineNetwork(engine: Engine, container: Container, usage: Usage): Usage {
  const first = processOfContainer(engine, container)?.pid;
  const isShared = first !== undefined && networkOf(String(first)) === networkOf('self');
  return isShared ? { ...usage, network: { in: 0, out: 0 } } : usage;
}

/** undefined where this process may not know. */
function networkOf(process: string): string | undefined {
  try {
    return readlinkSync(`/proc/${process}/ns/net`);
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    return undefined;
  }
}
