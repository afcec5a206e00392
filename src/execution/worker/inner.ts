/**
 * A worker for one container in the process that asks for it: root's `jettison run` in the foreground needs no second process that takes as long to start as all the rest. This process's
 * first thread goes into mounts of its own for good, and the container's processes into a PID namespace whose first process is the runtime; the kernel ends that when this
 * process ends. So it holds what a worker of its own holds: whichever of both is killed, nothing is left.
 *
 * What touches mounts in here must be synchronous: see `takeOwnMounts`.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createClock } from '#ground/base/clock.ts';
import { systemCode } from '#ground/base/errors.ts';
import type { TreeForm } from '#ground/linux/isolation.ts';
import type { ProcessNetwork } from '#ground/linux/namespace.ts';
import { takeOwnMounts, type OwnMounts } from '#ground/linux/own-namespaces.ts';
import { endSuddenly } from '#ground/linux/sudden-end.ts';
import type { Report } from '#formats/progress/event.ts';
import { chooseTree } from '#stores/snapshot/choose-tree.ts';
import { openSnapshotStore } from '#stores/snapshot/store.ts';
import { prepareContainer, signalContainer } from '#execution/ops/container.ts';
import { knownRuntime, openRuntime } from '#execution/runtime/choose.ts';
import { isTieArchitecture } from '#execution/runtime/tie-program.ts';
import type { ContainerStart, ContainerWorker } from './contract.ts';
import { fromWire, toWire } from './protocol.ts';
import { runSession } from './session/run.ts';

export type InnerWorkerOptions = {
  /** Folder of the store. */
  readonly store: string;
  readonly tree: TreeForm | 'auto';
  /** Milliseconds since the epoch: the worker's clock is never behind this one. */
  readonly now: () => number;
  /** Takes what the worker has to say outside any call. */
  readonly report: Report;
  /** That of the container. */
  readonly network: Exclude<ProcessNetwork, { readonly kind: 'own' | 'joined' }>;
};

/**
 * Undefined, and nothing has changed, where this process may not have mounts of its own, or no runtime is known to work yet: a worker of its own finds out about that. At most once
 * in the life of a process that is to end with its container.
 */
export async function openInnerWorker(options: InnerWorkerOptions, signal: AbortSignal): Promise<ContainerWorker | undefined> {
  const { store, network, report } = options;
  const memory = join(store, 'runtime.json');
  const note = (text: string): void => report({ kind: 'note', text });
  const within = <T>(act: () => T): T => (network.kind === 'within' ? network.within(act) : act());
  if (!isTieArchitecture(process.arch) || !existsSync(childrenFile)) return undefined;
  const known = knownRuntime(memory);
  if (known === undefined) return undefined;
  const mounts = tryOwnMounts();
  if (mounts === undefined) return undefined;
  endSuddenly();
  return await explained(store, async () => {
    const folder = (name: string): string => {
      const path = join(store, name);
      mkdirSync(path, { recursive: true, mode: 0o700 });
      return path;
    };
    const bundles = folder('bundles');
    const tree = options.tree === 'auto' ? chooseTree(folder('snapshots')) : options.tree;
    const clock = createClock({ least: options.now() });
    await using stack = new AsyncDisposableStack();
    const snapshots = stack.use(
      await openSnapshotStore({
        folder: folder('snapshots'),
        now: clock,
        tree,
        untilExit: true,
        leavesSmall: true,
        // The runtime's folder, which it mounts before anything is mounted in there.
        mountFolder: join(bundles, 'mounts'),
      }),
    );
    for (const text of snapshots.notes) note(text);
    const places = { folder: bundles, memory, cgroupRecords: join(store, 'cgroups'), known, ties: { within } };
    const runtime = await openRuntime(places, note, signal);
    const opened = stack.move();
    return {
      pid: undefined,
      prepareContainer: async (image, own) => await explained(store, async () => await prepareContainer(image, { snapshots }, own)),
      runContainer: async (request, { onReady = nothing, onStart = nothing, ...session }, own) => {
        const tell = ({ pid, runtime: holder = pid, program }: { pid: number; runtime?: number; program: readonly string[] }): void =>
          onStart({ worker: holder, pid, hostPid: pid, program } satisfies ContainerStart);
        const tools = { snapshots, runtime, withinNetwork: within, onReady, onStart: tell, now: Date.now };
        return await explained(store, async () => await runSession(request, session, tools, own));
      },
      signalContainer: (id, name) => signalContainer(id, name, { runtime }),
      [Symbol.asyncDispose]: async () => {
        await opened.disposeAsync();
        // What is started after this outlives the command, and must not keep its mounts.
        mounts.leave();
      },
    };
  });
}

const childrenFile = '/proc/thread-self/children';

function nothing(): void {}

/** Undefined where they are refused: by rights, by a filter of system calls (any error), or by a limit. */
function tryOwnMounts(): OwnMounts | undefined {
  try {
    return takeOwnMounts();
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    return undefined;
  }
}

/** Errors as they come from a worker of its own. */
async function explained<T>(store: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw fromWire(toWire(error, store));
  }
}
