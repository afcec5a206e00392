/** What a worker process works with, opened once: the snapshot store, the runtime, and the calls it answers. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { ExecOp, MergeOp } from '#formats/graph/op.ts';
import type { Report } from '#formats/progress/event.ts';
import type { Clock } from '#ground/base/clock.ts';
import { JettisonError, unreachable } from '#ground/base/errors.ts';
import type { AlmostRung, TreeForm } from '#ground/linux/isolation.ts';
import { tieToParent } from '#ground/linux/process-ties.ts';
import type { ProcessWitness } from '#ground/linux/witnessed-processes.ts';
import { chooseTree } from '#stores/snapshot/choose-tree.ts';
import { openSnapshotStore } from '#stores/snapshot/store.ts';
import type { SnapshotId } from '#stores/snapshot/contract.ts';
import type { ExecTools } from '#execution/ops/exec.ts';
import { contentDigest, openFileThread, runFile, type FileRequest, type FileTools } from '#execution/ops/file.ts';
import { runMerge } from '#execution/ops/merge.ts';
import type { StartedProcess } from '#execution/runtime/contract.ts';
import type { EndedProcesses, FilesRead, KeptFailure, OpRequest, Worker } from './contract.ts';
import { createLayers, type Layers } from './layers.ts';
import { isMissing } from './missing.ts';
import type { CallName, Calls, WireOpRequest } from './protocol.ts';

/** Asks the caller's SSH agent of this id. */
export type AskAgent = (agent: string, message: Uint8Array) => Promise<Uint8Array>;
/** How a call reaches its caller before it is done. */
export type CallBack = {
  readonly report: Report;
  readonly ask: AskAgent;
  /** The parent of a layer to unpack, once it is there; never rejects. */
  readonly comingParent: () => Promise<SnapshotId>;
  readonly tellReachable: () => void;
  readonly tellStart: (started: StartedProcess) => void;
  readonly tellRead: (read: readonly FilesRead[]) => void;
  readonly tellKept: (kept: KeptFailure) => void;
  readonly tellPassed: (ended: EndedProcesses) => void;
};
type Answers = { readonly [K in CallName]: (take: Calls[K]['take'], back: CallBack, signal: AbortSignal) => Promise<Calls[K]['give']> };

export type Workshop = AsyncDisposable & {
  readonly tree: TreeForm;
  readonly answers: Answers;
  readonly signalContainer: Worker['signalContainer'];
};

export type WorkshopOptions = AlmostRung & {
  /** Folder of the store; the worker's part is `snapshots`, `cache-mounts` and `bundles` in it. */
  readonly store: string;
  /** Id of the engine's process, outside of this one's namespace. */
  readonly engine: number;
  /** Never earlier than the engine's lease, whatever becomes of the system's clock. */
  readonly now: Clock;
  /** Takes what a person should know outside any call. */
  readonly note: (text: string) => void;
  /** Sees the processes of this one from outside of its namespaces. */
  readonly witness: ProcessWitness;
};

export async function openWorkshop(options: WorkshopOptions): Promise<Workshop> {
  const folder = (name: string): string => {
    const path = join(options.store, name);
    mkdirSync(path, { recursive: true, mode: 0o700 });
    return path;
  };
  if (options.isolation === 'chroot') tieToParent(options.engine);
  const tree = options.tree === 'auto' ? chooseTree(folder('snapshots')) : options.tree;
  const snapshots = await openSnapshotStore({ folder: folder('snapshots'), now: options.now, tree, untilExit: true });
  for (const text of snapshots.notes) options.note(text);
  const layers = createLayers(snapshots);
  const files: FileTools = { snapshots, thread: openFileThread() };
  const undo = new DisposableStack();
  const runtime = lazily(async (signal) => {
    if (options.isolation === 'chroot') {
      const { openChrootRuntime } = await import('#execution/runtime/chroot.ts');
      return undo.use(openChrootRuntime(folder('bundles')));
    }
    const { openRuntime } = await import('#execution/runtime/choose.ts');
    const places = {
      folder: folder('bundles'),
      memory: join(options.store, 'runtime.json'),
      cgroupRecords: join(options.store, 'cgroups'),
      witness: options.witness,
    };
    return await openRuntime(places, options.note, signal);
  });
  const execTools = async (signal: AbortSignal): Promise<ExecTools> => {
    const opened = await runtime(signal);
    const folders = { cacheMounts: folder('cache-mounts'), scratch: opened.scratch };
    return { ...files, ...folders, runtime: opened, engine: options.engine, now: Date.now };
  };

  return {
    tree,
    answers: {
      run: async ([request], back, signal) => await runOp(request, { files, layers, execTools }, back, signal),
      examine: async (_take, _back, signal) => {
        const { examine } = await import('./examine.ts');
        return await examine({ ...options, snapshots: folder('snapshots'), bundles: folder('bundles'), runtime }, signal);
      },
      contentDigest: async ([source, action], _back, signal) => await contentDigest(source, action, files, signal),
      layerIdentities: async ([top], _back, signal) => await layers.identities(top, signal),
      writeLayer: async ([request], { report }, signal) => await layers.write(request, report, signal),
      exportTree: async ([request], { report }, signal) => await layers.exportTree(request, report, signal),
      unpackLayer: async ([{ parent, ...request }], { report, comingParent }, signal) =>
        await layers.unpack({ ...request, parent: parent === 'coming' ? comingParent() : parent }, report, signal),
      prepareContainer: async ([image], _back, signal) => {
        const { prepareContainer } = await import('#execution/ops/container.ts');
        return await prepareContainer(image, { snapshots }, signal);
      },
      runContainer: async ([request, session], { tellReachable, tellStart }, signal) => {
        const { runSession } = await import('./session/run.ts');
        try {
          const forSteps = await execTools(signal);
          const tools = { ...forSteps, forSteps, onReady: tellReachable, onStart: tellStart };
          return await runSession(request, session, tools, signal);
        } finally {
          if (request.snapshot !== undefined) layers.forget(request.snapshot);
        }
      },
      findPackages: async ([top], _back, signal) => {
        const { findPackages } = await import('#execution/ops/packages.ts');
        return await findPackages(top, snapshots, signal);
      },
      listLibraries: async ([ids]) => {
        const { librariesIn } = await import('#execution/ops/libraries.ts');
        return ids.map((id) => (isMissing(snapshots, id) ? undefined : librariesIn(snapshots, id)));
      },
      findPayload: async ([wish], _back, signal) => await (await import('#execution/ops/payload.ts')).findPayload(wish, snapshots, signal),
      traceOrigins: async ([wish], _back, signal) =>
        await (await import('#execution/ops/origins.ts')).traceOrigins(wish, snapshots, signal),
      findHidden: async ([above]) => (await import('#execution/ops/fold.ts')).findHidden(above, snapshots),
      foldLayers: async ([above], _back, signal) => await (await import('#execution/ops/fold.ts')).foldLayers(above, snapshots, signal),
      weighSteps: async ([request], _back, signal) => (await import('#execution/ops/weigh.ts')).weighSteps(request, snapshots, signal),
      compareLayers: async ([request], _back, signal) =>
        await (await import('#execution/ops/compare-layers.ts')).compareLayers(request, snapshots, signal),
      lookAtFile: async ([request], _back, signal) =>
        await (await import('#execution/ops/container-files.ts')).lookAtFile(request, snapshots, signal),
      readFiles: async ([request], _back, signal) =>
        await (await import('#execution/ops/container-files.ts')).readFiles(request, snapshots, signal),
      listChanges: async ([request], _back, signal) =>
        await (await import('#execution/ops/tree-changes.ts')).findChanges(request, snapshots, signal),
      writeFiles: async ([request], _back, signal) =>
        await (await import('#execution/ops/container-files.ts')).writeFiles(request, snapshots, signal),
      missing: async ([ids]) => await Promise.resolve(ids.filter((id) => isMissing(snapshots, id))),
      release: async ([ids]) => {
        snapshots.remove(ids);
        await Promise.resolve();
      },
    },
    signalContainer: (id, name) => {
      void (async () => {
        const { signalContainer } = await import('#execution/ops/container.ts');
        signalContainer(id, name, await execTools(never));
      })();
    },
    [Symbol.asyncDispose]: async () => {
      undo.dispose();
      await snapshots[Symbol.asyncDispose]();
    },
  };
}

/** A container that takes a signal has a runtime already. */
const never = new AbortController().signal;

type Tools = { readonly files: FileTools; readonly layers: Layers; readonly execTools: (signal: AbortSignal) => Promise<ExecTools> };

async function runOp(
  request: WireOpRequest,
  tools: Tools,
  { report, ask, tellRead, tellKept, tellPassed }: CallBack,
  signal: AbortSignal,
): Promise<SnapshotId> {
  const { op, needles = [] } = request;
  const onLayer: FileRequest['onLayer'] = (id, layer) => tools.layers.remember(id, layer);
  switch (op.kind) {
    case 'file': {
      const { inputs, wantsIdentity, wantsDigests } = request;
      const onRead = wantsDigests === true ? { onRead: tellRead } : {};
      const file = { op, inputs, needles, ...onRead, ...(wantsIdentity === true ? { onLayer } : {}) };
      return await runFile(file, tools.files, report, signal);
    }
    case 'merge':
      return await runMerge({ ...request, op } satisfies WireOpRequest & { op: MergeOp }, tools.files.snapshots, signal);
    case 'exec': {
      const { runExec } = await import('#execution/ops/exec.ts');
      const agents = new Map(request.agents.map((id) => [id, async (message: Uint8Array) => await ask(id, message)] as const));
      return await runExec(
        {
          ...request,
          op,
          agents,
          onLayer,
          ...(request.keepsFailure === true ? { onFailure: tellKept } : {}),
          ...(request.wantsPassed === true ? { onPassed: tellPassed } : {}),
        } satisfies OpRequest & {
          op: ExecOp;
          onLayer: unknown;
        },
        await tools.execTools(signal),
        report,
        signal,
      );
    }
    default:
      return unreachable(op, 'op');
  }
}

/** One attempt at a time; a failed one may be tried again. */
function lazily<T>(make: (signal: AbortSignal) => Promise<T>): (signal: AbortSignal) => Promise<T> {
  let made: Promise<T> | undefined;
  return async (signal) => {
    made ??= make(signal);
    try {
      return await made;
    } catch (error) {
      made = undefined;
      if (!(error instanceof Error)) throw new JettisonError('worker/failed', String(error), { fault: 'bug' });
      throw error;
    }
  };
}
