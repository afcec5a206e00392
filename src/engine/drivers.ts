/** How each kind of op gets its cache key and its result in one build: the seam between the solver, which knows only drivers, and the rooms that do the work. */
import { copyFolder } from '#formats/graph/copy.ts';
import type { CopyAction, ExecOp, FileOp, MergeOp, SourceGitOp, SourceImageOp } from '#formats/graph/op.ts';
import { opDigest, type Vertex } from '#formats/graph/vertex.ts';
import { ofVertex, type Report } from '#formats/progress/event.ts';
import { canonicalJson } from '#ground/base/canonical-json.ts';
import { digestOf, type Digest } from '#ground/base/digest.ts';
import { cancelled, childSignal } from '#ground/base/abort.ts';
import { JettisonError, unreachable } from '#ground/base/errors.ts';
import { cacheKey, contentKeyOf, type CacheKey } from '#execution/cache/key.ts';
import { missingSource } from '#stores/context/errors.ts';
import type { DriverFor, OpDriver, Result, UnkeyedRun } from '#execution/solver/contract.ts';
import type {
  EndedProcesses,
  FilesRead,
  KeptFailure,
  OpRequest,
  ResourceLimits,
  SnapshotId,
  TreeSource,
  Worker,
} from '#execution/worker/contract.ts';
import { requireRunnable } from '#execution/worker/platforms.ts';
import type { BaseImages } from './base-images.ts';
import type { BuildContexts } from './build-contexts.ts';
import type { RemoteSources } from './remote-sources.ts';
import type { PassedStep } from './ignored-failures.ts';
import type { StepFailure } from './keep-failure.ts';
import { nativeOrAsked } from './platform.ts';
import { folderOf, folderResult, snapshotResult } from './results.ts';
import type { SecretGuard } from './secret-guard.ts';
import { requireSecrets, secretsFor, type Secrets } from './secrets.ts';
import type { PulledBase } from './step-follower.ts';
import { agentsFor, requireAgents, type SshAgents } from './ssh.ts';

export type DriverDeps = {
  readonly contexts: BuildContexts;
  readonly bases: BaseImages;
  readonly worker: () => Promise<Worker>;
  /** The files of a result that is no folder, brought from a cache elsewhere where they are not here; undefined for an empty tree. */
  readonly filesOf: (result: Result, signal: AbortSignal) => Promise<SnapshotId | undefined>;
  readonly report: Report;
  readonly remote: RemoteSources;
  readonly secrets: Secrets;
  readonly guard: SecretGuard;
  /** Of the processes of RUN; they are no part of what a step is. */
  readonly limits: ResourceLimits | undefined;
  readonly agents: SshAgents;
  /** Where programs of this machine are looked for, such as emulators. */
  readonly path: string;
  /** Told what stands behind a content key of folders of the client: the digest of each copy's files. */
  readonly onRead: (key: CacheKey, digests: readonly Digest[]) => void;
  /** Will the layer that a vertex makes be one of the image? */
  readonly isLayer: (vertex: Vertex) => boolean;
  /** Told of each vertex that ran, so that what is wanted of it next can begin beside the other steps. */
  readonly onRun: (vertex: Vertex, result: Result) => void;
  /** Told what is left of a RUN whose process fails; without it nothing is. */
  readonly onFailure?: (failure: StepFailure) => void;
  /** Told of RUNs of several lines that succeeded, though something that they started did not; the step is over when that is. */
  readonly onPassed?: (step: PassedStep) => Promise<void>;
  /** Told of images that are downloaded. */
  readonly onPull?: (vertex: Vertex, image: PulledBase) => void;
};

export function createDrivers(deps: DriverDeps): DriverFor {
  return (vertex) => {
    const { op } = vertex;
    switch (op.kind) {
      case 'source-image':
        return imageDriver(op, vertex, deps);
      case 'source-local':
        return {
          caching: 'never',
          cacheBase: async () => await Promise.resolve(opDigest(op)),
          run: async () => await Promise.resolve(folderResult(op.name)),
        };
      case 'source-http':
        return {
          caching: 'never',
          cacheBase: async () => await Promise.resolve(opDigest(op)),
          run: async (_inputs, signal) => {
            const name = `web:${vertex.digest}`;
            deps.contexts.add(name, { path: await deps.remote.download(op, signal), ignore: [], isPassing: true });
            return folderResult(name);
          },
        };
      case 'source-git':
        return gitDriver(op, vertex, deps);
      case 'merge':
        checkMerge(vertex);
        return workDriver(op, vertex, deps);
      case 'exec':
      case 'file':
        return workDriver(op, vertex, deps);
      default:
        return unreachable(op, 'op');
    }
  };
}

/** Only what a FileOp made over nothing can be put over other layers as it is: a RUN's folder may hide what is below it. */
function checkMerge({ inputs, label }: Vertex): void {
  const standAlone = inputs.slice(1).every(({ vertex: { op } }) => op.kind === 'file' && op.base === null);
  if (inputs.length > 1 && standAlone) return;
  throw new JettisonError('engine/bad-merge', `Cannot merge the layers of "${label.text}"`, { fault: 'bug' });
}

/** An image counts by its layers: the same files under another name or manifest hit the same results. */
function imageDriver(op: SourceImageOp, vertex: Vertex, deps: DriverDeps): OpDriver {
  return {
    caching: 'by-definition',
    cacheBase: async () => await Promise.resolve(digestOf(canonicalJson({ image: [...deps.bases.diffIdsOf(op)] }))),
    run: async (_inputs, signal) => {
      const image = deps.bases.toPull(op);
      if (image !== undefined) deps.onPull?.(vertex, image);
      const result = snapshotResult(await deps.bases.unpack(op, ofVertex(deps.report, vertex.digest), signal));
      deps.onRun(vertex, result);
      return result;
    },
  };
}

/** A repository counts by its commit, so while that stays only the server is asked; its files become a snapshot. */
function gitDriver(op: SourceGitOp, vertex: Vertex, deps: DriverDeps): OpDriver {
  return {
    caching: 'by-definition',
    cacheBase: async (signal) => await deps.remote.gitDigest(op, signal),
    run: async (_inputs, signal) => {
      using tree = await deps.remote.checkOut(op, signal);
      const worker = await deps.worker();
      const request = {
        vertex: vertex.digest,
        op: { kind: 'file', base: null, actions: [copyFolder('/')] },
        inputs: [{ kind: 'folder', path: tree.path, ignore: [] }],
        quietEnvironment: [],
        secrets: new Map<string, Uint8Array>(),
        agents: new Map(),
      } as const;
      const result = snapshotResult(await worker.run(request, deps.report, signal));
      deps.onRun(vertex, result);
      return result;
    },
  };
}

function workDriver(op: ExecOp | FileOp | MergeOp, vertex: Vertex, deps: DriverDeps): OpDriver {
  const base = opDigest(op);
  return {
    caching: 'by-definition',
    cacheBase: async () => await Promise.resolve(base),
    readsContent: (index) => readsOf(op, index) !== undefined,
    check: () => {
      checkGiven(op, deps);
      checkPlatform(vertex, deps);
    },
    contentKey: async (index, result, signal) => await readKey(readsOf(op, index), result, deps, signal),
    run: async (inputs, signal) => {
      const result = await runInWorker(op, vertex, { inputs, deps }, signal);
      deps.contexts.checkUnchanged(inputs.flatMap((input) => folderOf(input) ?? []));
      deps.onRun(vertex, result);
      return result;
    },
    ...(op.kind === 'file' ? unkeyed(op, vertex, deps) : {}),
  };
}

/** A copy of many or large files of the client is not preceded by reading them all: the worker says what it has read. */
function unkeyed(op: FileOp, vertex: Vertex, deps: DriverDeps): Pick<OpDriver, 'mayRunUnkeyed' | 'runUnkeyed'> {
  const copies = op.actions.filter((action) => action.kind === 'copy');
  return {
    mayRunUnkeyed: (results) => {
      const large = copies.map((copy) => {
        const result = copy.input === null ? undefined : results[copy.input];
        const folder = result === undefined ? undefined : folderOf(result);
        return folder !== undefined && deps.contexts.isLarge(folder, copy);
      });
      return large.includes(true);
    },
    runUnkeyed: async (inputs, signal) => {
      const folders = inputs.map(folderOf);
      const ofFolders = copies.flatMap((copy) => {
        const folder = copy.input === null ? undefined : folders[copy.input];
        return folder === undefined ? [] : [{ folder, copy }];
      });
      let taking: Promise<unknown> | undefined;
      const onRead = (read: readonly FilesRead[]): void => {
        // Whatever comes of it is told once the worker is done.
        taking = Promise.all(ofFolders.map(async ({ folder, copy }, index) => await deps.contexts.take(folder, copy, read[index])));
        taking.catch(() => undefined);
      };
      const result = await runInWorker(op, vertex, { inputs, deps, onRead }, signal);
      if (taking === undefined) throw new JettisonError('engine/nothing-read', 'The worker did not say what it has read', { fault: 'bug' });
      await taking;
      deps.onRun(vertex, result);
      return { result, contents: await keysOfFolders(op, inputs, deps, signal) } satisfies UnkeyedRun;
    },
  };
}

async function keysOfFolders(
  op: FileOp,
  inputs: readonly Result[],
  deps: DriverDeps,
  signal: AbortSignal,
): Promise<UnkeyedRun['contents']> {
  const keys = inputs.map(async (input, index) =>
    folderOf(input) === undefined ? undefined : await readKey(readsOf(op, index), input, deps, signal),
  );
  return await Promise.all(keys);
}

type WorkToRun = { readonly inputs: readonly Result[]; readonly deps: DriverDeps; readonly onRead?: OpRequest['onRead'] };

async function runInWorker(
  op: ExecOp | FileOp | MergeOp,
  vertex: Vertex,
  { inputs, deps, onRead }: WorkToRun,
  signal: AbortSignal,
): Promise<Result> {
  checkGiven(op, deps);
  checkPlatform(vertex, deps);
  const worker = await deps.worker();
  using step = childSignal(signal);
  const secrets = secretsFor(op, deps.secrets);
  const hiding = deps.guard.hideOutput(deps.report);
  const sources = await Promise.all(inputs.map(async (input) => await sourceOf(input, deps, signal)));
  const { onFailure, onPassed } = deps;
  let passed: EndedProcesses | undefined;
  const request = {
    vertex: vertex.digest,
    op,
    inputs: sources,
    quietEnvironment: vertex.label.quietEnvironment ?? [],
    secrets,
    ...(op.kind === 'exec' && deps.limits !== undefined ? { limits: deps.limits } : {}),
    agents: agentsFor(op, deps.agents, step.signal),
    wantsIdentity: deps.isLayer(vertex),
    ...(mayKeep(op, deps.isLayer(vertex), secrets) ? { needles: deps.guard.needles() } : {}),
    ...(onRead === undefined ? {} : { onRead }),
    ...(op.kind !== 'exec' || onFailure === undefined
      ? {}
      : { onFailure: (kept: KeptFailure) => onFailure({ vertex, op, inputs: sources, kept }) }),
    ...(op.kind === 'exec' && onPassed !== undefined && mayIgnoreFailures(op)
      ? { onPassed: (ended: EndedProcesses) => void (passed = ended) }
      : {}),
  };
  const over = (): void => {
    hiding.flush();
    step.abort(cancelled('The step is over'));
  };
  const result = snapshotResult(await worker.run(request, hiding.report, signal).finally(over));
  if (op.kind === 'exec' && passed !== undefined) await onPassed?.({ vertex, op, ended: passed });
  return result;
}

/** May its text be of several lines, each with an end of its own? Of others it is not asked how what they started ended. */
function mayIgnoreFailures({ arguments: words }: ExecOp): boolean {
  return words.at(-1)?.trim().includes('\n') === true;
}

/** A RUN that is no layer of the image and was given no secret is looked at when its layer is made, if ever. */
function mayKeep(op: ExecOp | FileOp | MergeOp, isLayer: boolean, secrets: Secrets): boolean {
  return isLayer || op.kind === 'file' || secrets.size > 0;
}

/** Refuses a RUN in an image for a platform whose programs do not run here. */
function checkPlatform({ op, label }: Vertex, { path }: DriverDeps): void {
  if (op.kind !== 'exec' || label.platform === undefined) return;
  requireRunnable(nativeOrAsked(label.platform), { what: `"${label.text}"`, path });
}

/** Refuses a step whose required secrets or agents were not given. */
function checkGiven(op: ExecOp | FileOp | MergeOp, { secrets, agents }: DriverDeps): void {
  requireSecrets(op, secrets);
  requireAgents(op, agents);
}

/** What an op reads of one input: some copies of it, or (undefined) perhaps all of it. */
function readsOf(op: ExecOp | FileOp | MergeOp, index: number): readonly CopyAction[] | undefined {
  switch (op.kind) {
    case 'file':
      if (op.base === index) return undefined;
      return op.actions.filter((action) => action.kind === 'copy').filter((action) => action.input === index);
    case 'merge':
      return undefined;
    case 'exec':
      if (op.root === index) return undefined;
      return op.mounts
        .filter((mount) => mount.kind === 'bind' || mount.kind === 'cache')
        .flatMap((mount) => (mount.input === index ? [copyFolder(mount.source)] : []));
    default:
      return unreachable(op, 'op');
  }
}

async function readKey(
  reads: readonly CopyAction[] | undefined,
  result: Result,
  deps: DriverDeps,
  signal: AbortSignal,
): Promise<CacheKey | undefined> {
  if (reads === undefined) return undefined;
  const folder = folderOf(result);
  const digests: Digest[] = [];
  for (const action of reads) {
    if (folder !== undefined) digests.push(deps.contexts.digest(folder, action));
    else digests.push(await snapshotDigest(result, action, deps, signal));
  }
  const key =
    digests.length === 1 && digests[0] !== undefined
      ? contentKeyOf(digests[0])
      : cacheKey({ base: digestOf(canonicalJson(digests)), inputs: [] });
  if (folder !== undefined) deps.onRead(key, digests);
  return key;
}

async function snapshotDigest(result: Result, action: CopyAction, deps: DriverDeps, signal: AbortSignal): Promise<Digest> {
  const snapshot = await deps.filesOf(result, signal);
  if (snapshot === undefined) throw missingSource(action.sources[0] ?? '', 'The tree to copy from is empty');
  const worker = await deps.worker();
  return await worker.contentDigest({ kind: 'snapshot', snapshot }, action, signal);
}

async function sourceOf(result: Result, deps: DriverDeps, signal: AbortSignal): Promise<TreeSource | undefined> {
  const folder = folderOf(result);
  if (folder !== undefined) return deps.contexts.source(folder);
  const snapshot = await deps.filesOf(result, signal);
  return snapshot === undefined ? undefined : { kind: 'snapshot', snapshot };
}
