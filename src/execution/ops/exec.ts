/** Runs an ExecOp (RUN) into a new snapshot. */
import { randomUUID } from 'node:crypto';
import type { ExecOp } from '#formats/graph/op.ts';
import type { Report, VertexOutput } from '#formats/progress/event.ts';
import type { Digest } from '#ground/base/digest.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { Needle } from '#ground/base/needles.ts';
import { layerIdentity, type LayerIdentity } from '#stores/layer/create.ts';
import type { ActiveSnapshot, SnapshotId } from '#stores/snapshot/contract.ts';
import type { EndedProcesses, ResourceLimits, Runtime } from '#execution/runtime/contract.ts';
import { processFailed, startCode, startFailed } from './exec/failure.ts';
import { keepFailure, type KeptFailure } from './exec/keep-failure.ts';
import { watchForProc } from './exec/missing-proc.ts';
import { openMounts, type AnswerSsh, type MountTools } from './exec/mounts.ts';
import { textReporter } from './exec/output.ts';
import { runInRoot, type RootResult } from './exec/process.ts';
import { finishLayer } from './exec/finish-layer.ts';
import { beginningOf, epochOf } from './epoch.ts';
import { noteFileBytes } from './file-bytes.ts';
import type { TreeSource } from './file.ts';

export type { AnswerSsh, KeptFailure };

export type ExecRequest = {
  readonly vertex: Digest;
  readonly op: ExecOp;
  /** One for each input of the vertex; undefined for an empty tree. */
  readonly inputs: readonly (TreeSource | undefined)[];
  /** Environment outside the op's definition (proxies). */
  readonly quietEnvironment: readonly string[];
  /** Secrets by id, for this call only. */
  readonly secrets: ReadonlyMap<string, Uint8Array>;
  /** Limits outside the op's definition: they change how a step runs, not what it makes. */
  readonly limits?: ResourceLimits;
  /** SSH agents by id, for this call only. */
  readonly agents: ReadonlyMap<string, AnswerSsh>;
  /** It sees its folders in the reverse of their order, where trees are overlays. */
  readonly reversesFolders?: boolean;
  /** What may not stand in the layer: then nothing is committed. */
  readonly needles?: readonly Needle[];
  /** Told the identity of the layer where it was taken, once the snapshot is committed. */
  readonly onLayer?: (snapshot: SnapshotId, layer: LayerIdentity) => void;
  /** Told what is left of a process that failed; without it, nothing is. */
  readonly onFailure?: (kept: KeptFailure) => void;
  /** Told when its process succeeded and another that it had started did not, where the kernel keeps accounts. */
  readonly onPassed?: (ended: EndedProcesses) => void;
};

export type ExecTools = MountTools & { readonly runtime: Runtime; readonly now: () => number };

/**
 * Gives the committed snapshot; when the process fails or `signal` aborts, nothing stays behind, but for what `onFailure` is told of. What it writes is reported as `output`.
 * Throws `ops/process-failed` for an exit code that is not 0, `layer/secret-found`, and what finding the user, the program and the mounts says.
 */
export async function runExec(request: ExecRequest, tools: ExecTools, report: Report, signal: AbortSignal): Promise<SnapshotId> {
  const { op } = request;
  const base = op.root === null ? undefined : request.inputs[op.root];
  if (base?.kind === 'folder') throw new JettisonError('ops/bad-base', 'A folder of the client cannot be a root', { fault: 'bug' });
  await using active = await tools.snapshots.prepare(base?.snapshot, signal);
  const began = beginningOf(Date.now());
  const proc = tools.runtime.name === 'chroot' ? watchForProc() : undefined;
  const below = (): readonly string[] => (base === undefined ? [] : foldersBelow(tools, base.snapshot));
  const { needles = [], onFailure } = request;
  const { status, tidy } = await runOver(active, request, { ...tools, hear: (bytes) => proc?.take(bytes) }, report, signal);
  if (status.code !== 0) {
    if (onFailure !== undefined && !signal.aborted) {
      tidy(active.folder);
      const kept = await keepFailure(active, { code: status.code, below, needles }, signal);
      onFailure(status.ended === undefined ? kept : { ...kept, ended: status.ended });
    }
    throw processFailed(op.arguments, status, { memory: request.limits?.memory, hint: proc?.hint() });
  }
  if (status.ended?.children.some(({ code }) => code !== 0) === true) request.onPassed?.(status.ended);
  tidy(active.folder);
  const bytes = finishLayer(active.folder, below, { began, epoch: epochOf(tools.snapshots, base?.snapshot) });
  const layer = needles.length === 0 ? undefined : await layerIdentity({ folder: active.folder, below: below(), needles }, signal);
  const { id } = await active.commit(signal);
  noteFileBytes(tools.snapshots, id, bytes);
  if (layer !== undefined) request.onLayer?.(id, layer);
  return id;
}

/** Topmost first. */
function foldersBelow({ snapshots }: ExecTools, base: SnapshotId): readonly string[] {
  return snapshots
    .chain(base)
    .map((snapshot) => snapshot.folder)
    .toReversed();
}

async function runOver(
  active: ActiveSnapshot,
  request: ExecRequest,
  tools: ExecTools & { readonly hear: (bytes: Uint8Array) => void },
  report: Report,
  signal: AbortSignal,
): Promise<RootResult> {
  const { op } = request;
  const id = randomUUID();
  await using mounted = await active.mount(signal, request.reversesFolders === true ? 'reversed' : 'usual');
  await using opened = await openMounts(
    { ...request, id, mounts: op.mounts, isConfined: op.security !== 'insecure' },
    tools,
    report,
    signal,
  );
  const [stdout, stderr] = (['stdout', 'stderr'] as const).map((stream) => outputOf(request.vertex, stream, tools.now, report));
  try {
    return await runInRoot(
      {
        id,
        rootfs: mounted.path,
        arguments: op.arguments,
        environment: [...op.environment, ...request.quietEnvironment, ...opened.environment],
        workingDirectory: op.workingDirectory,
        user: op.user,
        security: op.security,
        // There is no network between the host's and none yet; BuildKit without a CNI plugin does the same.
        network: op.network === 'none' ? 'none' : 'host',
        hostname: op.hostname,
        extraHosts: op.extraHosts,
        ownNames: false,
        terminal: false,
        stopSignal: 'SIGTERM',
        shmSize: op.shmSize,
        mounts: opened.mounts,
        ulimits: op.ulimits ?? [],
        limits: limitsOf(request),
        accounts: request.onPassed === undefined ? 'failed' : 'always',
      },
      tools.runtime,
      { kind: 'capture', stdout: taking(stdout, tools.hear), stderr: taking(stderr, tools.hear) },
      signal,
    );
  } catch (error) {
    const code = startCode(error);
    if (code !== undefined) request.onFailure?.({ code, snapshot: undefined });
    throw startFailed(op.arguments, error);
  } finally {
    stdout?.end();
    stderr?.end();
  }
}

function taking(output: ReturnType<typeof outputOf> | undefined, hear: (bytes: Uint8Array) => void): (bytes: Uint8Array) => void {
  return (bytes) => {
    output?.take(bytes);
    hear(bytes);
  };
}

function limitsOf({ op, limits }: ExecRequest): ResourceLimits | undefined {
  return op.cgroupParent === undefined ? limits : { ...limits, cgroupParent: op.cgroupParent };
}

function outputOf(vertex: Digest, stream: VertexOutput['stream'], now: () => number, report: Report): ReturnType<typeof textReporter> {
  return textReporter((text) => report({ kind: 'output', vertex, stream, text, time: now() }));
}
