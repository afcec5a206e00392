/** What the engine may ask of a worker: the process that mounts, runs and copies. A worker knows nothing of Dockerfiles, tags or registries. */
import type { Readable, Writable } from 'node:stream';
import type { ChainId } from '#formats/oci/layer-ids.ts';
import type { ExecOp, FileOp, CopyAction, MergeOp } from '#formats/graph/op.ts';
import type { Traced } from '#formats/origins/trail.ts';
import type { Report } from '#formats/progress/event.ts';
import type { Rung } from '#ground/linux/isolation.ts';
import type { ByteString } from '#ground/base/byte-string.ts';
import type { Digest } from '#ground/base/digest.ts';
import type { Needle } from '#ground/base/needles.ts';
import type { LayerBlob, LayerFormat } from '#stores/layer/create.ts';
import type { Exported, ExportTarget, TreeNote } from '#stores/layer/export.ts';
import type { SnapshotId } from '#stores/snapshot/contract.ts';
import type { BroughtLibrary } from '#execution/ops/libraries.ts';
import type { FilesRead } from '#execution/ops/file.ts';
import type { CompareRequest, LayersCompared } from '#execution/ops/compare-layers.ts';
import type { PackageList } from '#execution/ops/packages.ts';
import type { AnswerSsh, KeptFailure } from '#execution/ops/exec.ts';
import type { TraceWish } from '#execution/ops/origins.ts';
import type { FoldedLayers, HiddenLayer, LayersAbove } from '#execution/ops/fold.ts';
import type { PayloadFound, PayloadWish } from '#execution/ops/payload.ts';
import type { WeighRequest, Weights } from '#execution/ops/weigh.ts';
import type { ContainerOutcome, ContainerRequest } from '#execution/ops/container.ts';
import type { ChangesRequest } from '#execution/ops/tree-changes.ts';
import type { FileChange } from '#execution/ops/container-changes.ts';
import type { FileLook, LookRequest, ReadRequest, WriteRequest } from '#execution/ops/container-files.ts';
import type { EndedProcesses, ResourceLimits } from '#execution/runtime/contract.ts';

export type { BroughtLibrary } from '#execution/ops/libraries.ts';
export type { FilesRead } from '#execution/ops/file.ts';
export type { KeptFailure } from '#execution/ops/exec.ts';
export type { EndedProcesses } from '#execution/runtime/contract.ts';
export type { LayerBlob, LayerFormat } from '#stores/layer/create.ts';
export type { Exported, ExportTarget, TreeNote } from '#stores/layer/export.ts';
export type { ResourceLimits } from '#execution/runtime/contract.ts';
export type { FileChange } from '#execution/ops/container-changes.ts';
export type { ChangesRequest } from '#execution/ops/tree-changes.ts';
export type { FileLook, FilesPlace, LookRequest, ReadRequest, WriteRequest } from '#execution/ops/container-files.ts';
export type { TraceWish } from '#execution/ops/origins.ts';
export type { FoldedLayers, HiddenLayer, LayersAbove } from '#execution/ops/fold.ts';
export type { PackageList } from '#execution/ops/packages.ts';
export type { WeighedFile, WeighRequest, Weights } from '#execution/ops/weigh.ts';
export type { FoundRemedy, PayloadFinding, PayloadFound, PayloadRecord, PayloadWish } from '#execution/ops/payload.ts';
export type { ContainerHold, ContainerOutcome, ContainerRequest } from '#execution/ops/container.ts';
export type { ContainerMount } from '#execution/ops/container-mounts.ts';
export type { CompareRequest, LayerDifference, LayersCompared } from '#execution/ops/compare-layers.ts';

/** The ids that a worker hands out: opaque to the engine. */
export { parseSnapshotId, type SnapshotId } from '#stores/snapshot/contract.ts';

/** A tree that an op reads: a committed snapshot, or a folder of the client with ignore patterns applied; a passing one will be gone after the build. */
export type TreeSource =
  | { readonly kind: 'snapshot'; readonly snapshot: SnapshotId }
  | { readonly kind: 'folder'; readonly path: string; readonly ignore: readonly string[]; readonly isPassing?: boolean };

export type OpRequest = {
  readonly vertex: Digest;
  readonly op: ExecOp | FileOp | MergeOp;
  /** One for each input of the vertex; undefined for an empty tree. */
  readonly inputs: readonly (TreeSource | undefined)[];
  /** Environment outside the op's definition (proxies). */
  readonly quietEnvironment: readonly string[];
  /** Secrets by id, for this call only. */
  readonly secrets: ReadonlyMap<string, Uint8Array>;
  /** Of a RUN: limits outside the op's definition. */
  readonly limits?: ResourceLimits;
  /** SSH agents by id, for this call only: the keys stay with the caller, who answers what the step asks. */
  readonly agents: ReadonlyMap<string, AnswerSsh>;
  /** The identity of the layer that this op makes will be asked for: it may be taken beside the op. */
  readonly wantsIdentity?: boolean;
  /** Of a RUN: it sees its folders in the reverse of their order, where trees are overlays. For `verify`: nothing that a step makes should depend on it. */
  readonly reversesFolders?: boolean;
  /** What may not stand in the layer of this op (`layer/secret-found`), for this call only. */
  readonly needles?: readonly Needle[];
  /** Of a file operation: told once, when all is copied, what was read of folders of the client: one for each action that copied of them, in order. Asking costs a hash of each file. */
  readonly onRead?: (read: readonly FilesRead[]) => void;
  /** Of a RUN: told what is left of its process when that fails, before the call does; a snapshot in it is the caller's. Without it nothing is left. */
  readonly onFailure?: (kept: KeptFailure) => void;
  /** Of a RUN: told before the call ends well that its process did, and another that it had started did not. Only where the kernel keeps accounts; asking costs reading them. */
  readonly onPassed?: (ended: EndedProcesses) => void;
};

/**
 * One layer of a chain: its DiffID and the bytes of its files. In milliseconds since 1970: when its snapshot was made, on this machine's clock, and the newest time of a file in it and below,
 * which is the same wherever it is made of the same inputs.
 */
export type LayerIdentity = {
  readonly snapshot: SnapshotId;
  readonly diffId: Digest;
  readonly size: number;
  readonly createdAt: number;
  readonly epoch: number;
};

/** Of a snapshot, where no entry is younger than `latest` (nanoseconds since the epoch); or of the same layer's blob in another form, by its absolute path. */
export type LayerRequest = ({ readonly snapshot: SnapshotId; readonly latest?: bigint } | { readonly blob: string }) & {
  readonly format: LayerFormat;
  readonly level?: number;
  readonly file: string;
  /** The bytes are taken on as they come: what shrinks little may be left in segments. */
  readonly passes?: boolean;
  /** What may not stand in it: then nothing is written. */
  readonly needles?: readonly Needle[];
};

export type UnpackRequest = {
  /** A promise: the layer below is still being unpacked. It may reject; then the call ends with that error, unless somebody else wants the same layer. */
  readonly parent: SnapshotId | undefined | Promise<SnapshotId>;
  /** Of the parent's chain with this layer over it. */
  readonly chainId: ChainId;
  readonly diffId: Digest;
  readonly file: string;
  /** Bytes of the complete file, where it is still being written. */
  readonly size?: number;
  /** Where `file` is found when it has been renamed meanwhile. */
  readonly completeFile?: string;
  readonly mediaType: string;
  /** When the layer was made, as far as somebody says so, milliseconds since the epoch; else it counts as made now. */
  readonly madeAt?: number;
};

/** What of the files of chains goes where; see `layer/export.ts`. */
export type TreeRequest = {
  /** undefined: an empty tree; `under`: the folder that its files are put under; `notes`: statements beside them. */
  readonly trees: readonly {
    readonly snapshot: SnapshotId | undefined;
    readonly under?: ByteString;
    readonly notes?: readonly TreeNote[];
  }[];
  /** From the root of each tree, links followed inside it: a folder's content, or one file; '' for everything. */
  readonly path: ByteString;
  /** Nanoseconds since the epoch that everything gets as its time. */
  readonly time?: bigint;
  readonly to: ExportTarget;
};

/** How a container's run is seen from outside. */
/** What the files of a container's log are to be. */
export type LogKeeping = {
  /** Bytes from which on a new file is begun; undefined: never. */
  readonly maxSize: number | undefined;
  /** So many files are kept, the one that is written to among them. */
  readonly maxFiles: number;
  /** Said with each entry. */
  readonly attributes: Readonly<Record<string, string>>;
};

export type SessionRequest = {
  /** The container's folder: for its log and its control socket. */
  readonly folder: string;
  /** How its log is kept; undefined: not at all. */
  readonly log: LogKeeping | undefined;
  /** `nothing`: /dev/null; `own`: that of this process; `clients`: of whoever is attached. */
  readonly stdin: 'nothing' | 'own' | 'clients';
  /** Its stdin ends with that of a client. */
  readonly stdinOnce: boolean;
  /** What it writes goes to this process's own streams, too. */
  readonly own: { readonly stdout: boolean; readonly stderr: boolean };
  /** It is not started before somebody is attached. */
  readonly awaitsClient: boolean;
  /** Of its terminal. */
  readonly size?: TerminalSize;
  /** Its control socket is there: clients may come. */
  readonly onReady?: () => void;
  /** Told once when the program runs, unless it has ended by then. */
  readonly onStart?: (started: ContainerStart) => void;
};

export type TerminalSize = { readonly rows: number; readonly columns: number };

/** Where a running container is found, for those who go into it. */
export type ContainerStart = {
  /** The worker's process, as this one counts. */
  readonly worker: number;
  /** The container's first process, as the worker counts, and as this process does (undefined where it could not be found). */
  readonly pid: number;
  readonly hostPid: number | undefined;
  /** The runtime and what stands before its commands; empty where there is none to ask. */
  readonly program: readonly string[];
};

/** What a worker found when it tried what steps need. */
export type Examination = {
  /** Undefined when nothing can be run. */
  readonly runtime: { readonly name: string; readonly version: string } | undefined;
  /** What does not work, or not fully. */
  readonly missing: readonly Lack[];
};

/** `ids`: owners are recorded only; `limits`: of what a step uses; `store`: it was written on another rung. */
export type Lack = { readonly what: 'runtime' | 'overlay' | 'ids' | 'limits' | 'store'; readonly problem: string; readonly hint: string };

/** Where the bytes of files go in and out of a worker that was started for them. */
export type FileStreams = { readonly input: Writable; readonly output: Readable };

export type Worker = AsyncDisposable & {
  readonly streams: FileStreams | undefined;
  /** By what means it keeps steps apart. */
  readonly rung: Rung;
  /** Of the process that holds its namespaces, as the caller sees it: others can enter them there. */
  readonly pid: number | undefined;
  /** Tries what steps need, for `doctor`. */
  examine(signal: AbortSignal): Promise<Examination>;
  /** Runs an op to a committed snapshot. Nothing stays behind when it fails, but for what `onFailure` is told of. */
  run(request: OpRequest, report: Report, signal: AbortSignal): Promise<SnapshotId>;
  /** Digest of what a copy action would take from a tree: names, modes, owners, xattrs, links, bytes; no times. */
  contentDigest(source: TreeSource, action: CopyAction, signal: AbortSignal): Promise<Digest>;
  /** DiffIDs and sizes of all snapshots of a chain, bottom first. Computed once for each snapshot, then remembered. */
  layerIdentities(top: SnapshotId, signal: AbortSignal): Promise<readonly LayerIdentity[]>;
  /** Writes one layer to `file`, which may be read meanwhile; the bytes are the same every time. */
  writeLayer(request: LayerRequest, report: Report, signal: AbortSignal): Promise<LayerBlob>;
  /** Writes the files of a chain to a folder of the client, as this user's, or as a tar. Apart from layers: nobody wants the files of a result as a stack of them. */
  exportTree(request: TreeRequest, report: Report, signal: AbortSignal): Promise<Exported>;
  /** Unpacks a layer blob over `parent`; fails unless its uncompressed bytes have `diffId`. Needs no parent to begin, and waits for it where the layer's entries lead there. A layer already unpacked over that parent is found, not unpacked again. */
  unpackLayer(request: UnpackRequest, report: Report, signal: AbortSignal): Promise<SnapshotId>;
  /** An empty snapshot over an image for a container to write on, each time that it runs: its id is known, and can be kept, before anything is written. */
  prepareContainer(image: SnapshotId | undefined, signal: AbortSignal): Promise<SnapshotId>;
  /** A container's process over its own snapshot, or a new writable snapshot. */
  runContainer(request: ContainerRequest, session: SessionRequest, signal: AbortSignal): Promise<ContainerOutcome>;
  /** Hands a signal (`SIGTERM`) to the first process of a running container; nothing when it has ended. */
  signalContainer(id: string, name: string): void;
  /** Which packages the full tree of a snapshot has (undefined: an empty tree). */
  findPackages(top: SnapshotId | undefined, signal: AbortSignal): Promise<PackageList>;
  /** Whether a container of an image would start, and what it lacks: of its files and those of the stages that have it. */
  findPayload(wish: PayloadWish, signal: AbortSignal): Promise<PayloadFound>;
  /** Of each snapshot, what `COPY --libs` brought into it; undefined for one that is gone, and for one that such a copy made in another store. */
  listLibraries(snapshots: readonly SnapshotId[], signal: AbortSignal): Promise<readonly (readonly BroughtLibrary[] | undefined)[]>;
  /** Where the files of an image came from, file by file: stages are read as COPY reads them, by what their layers hold. */
  traceOrigins(wish: TraceWish, signal: AbortSignal): Promise<Traced>;
  /** What the layers over the lowest ones of a chain hide of each other. */
  findHidden(layers: LayersAbove, signal: AbortSignal): Promise<readonly HiddenLayer[]>;
  /** The same layers without what is hidden, in snapshots of their own where they are other ones then. */
  foldLayers(layers: LayersAbove, signal: AbortSignal): Promise<FoldedLayers>;
  /** What the steps of a build weigh, and how much of that is in the image; undefined where that had to look at more files than it may. */
  weighSteps(request: WeighRequest, signal: AbortSignal): Promise<Weights | undefined>;
  /** What is different in the topmost layers of two chains. Apart from layers' bytes: of two tars only the offset could be told, and layers are not kept as tars. */
  compareLayers(request: CompareRequest, signal: AbortSignal): Promise<LayersCompared>;
  /** What is at a path of a container; undefined when nothing is. */
  lookAtFile(request: LookRequest, signal: AbortSignal): Promise<FileLook | undefined>;
  /** Writes files of a container to `output` as a tar, and gives its bytes: one such call in the life of a worker. */
  readFiles(request: ReadRequest, signal: AbortSignal): Promise<number>;
  /** What a snapshot changes in what lies below it, or in another chain, by path. */
  listChanges(request: ChangesRequest, signal: AbortSignal): Promise<readonly FileChange[]>;
  /** Makes the files of the tar that comes by `input`, until that ends, in a folder of a container, and gives their bytes: the last call in the life of a worker. */
  writeFiles(request: WriteRequest, signal: AbortSignal): Promise<number>;
  /** Which of these snapshots cannot be used any more, because they or something below them are gone. */
  missing(snapshots: readonly SnapshotId[], signal: AbortSignal): Promise<readonly SnapshotId[]>;
  /** Forgets snapshots; their files go. */
  release(snapshots: readonly SnapshotId[], signal: AbortSignal): Promise<void>;
};

/** What holds a container while it runs: a worker, or a part of this process that does the same (`inner.ts`). */
export type ContainerWorker = AsyncDisposable & Pick<Worker, 'pid' | 'prepareContainer' | 'runContainer' | 'signalContainer'>;
