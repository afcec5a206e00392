/** Runs a FileOp (COPY, ADD, WORKDIR, here-documents) into a new snapshot, and says what a copy reads. No container and no mount is needed. */
import { copyFolder } from '#formats/graph/copy.ts';
import type { CopyAction, FileOp } from '#formats/graph/op.ts';
import type { Report } from '#formats/progress/event.ts';
import { canonicalJson, type Json } from '#ground/base/canonical-json.ts';
import { digestOf, parseDigest, type Digest } from '#ground/base/digest.ts';
import { orAborted } from '#ground/base/abort.ts';
import { fullDisk, fullDiskHint, isCode, JettisonError } from '#ground/base/errors.ts';
import type { Needle } from '#ground/base/needles.ts';
import type { TreeEntry } from '#ground/linux/tree.ts';
import { layerIdentity } from '#stores/layer/create.ts';
import { followLayer, type LayerBatch, type LayerIdentity } from '#stores/layer/follow.ts';
import type { SnapshotId, SnapshotStore } from '#stores/snapshot/contract.ts';
import { digestLength } from '#stores/layer/file-digests.ts';
import {
  finishJob,
  selectAll,
  type Copied,
  type DigestJob,
  type JobResult,
  type Outlet,
  type Selections,
  type WriteJob,
} from './file/job.ts';
import { selectedEntries } from '#stores/context/select.ts';
import type { ContentBlock } from './file/content.ts';
import { beginningOf, epochOf, noteEpoch, settleAll } from './epoch.ts';
import { noteFileBytes } from './file-bytes.ts';
import { createFileThread, type FileThread, type OnBatch } from './file/thread.ts';
import { noteLibraries } from './libraries.ts';
import { keepTaken } from './file/taken.ts';
import type { TreePlace } from './file/tree-place.ts';
import { findVersions, keepVersion } from './file/versions.ts';

export type { FileThread };

/** A tree that a copy reads: a committed snapshot, or a folder of the client with ignore patterns applied; a passing one will be gone after the build. */
export type TreeSource =
  | { readonly kind: 'snapshot'; readonly snapshot: SnapshotId }
  | { readonly kind: 'folder'; readonly path: string; readonly ignore: readonly string[]; readonly isPassing?: boolean };

export type FileRequest = {
  readonly op: FileOp;
  /** One for each input of the vertex; undefined for an empty tree. */
  readonly inputs: readonly (TreeSource | undefined)[];
  /** The identity of the layer is wanted soon. It is given where it could be had beside the copying, once the snapshot is committed. */
  readonly onLayer?: (snapshot: SnapshotId, layer: LayerIdentity) => void;
  /** What may not stand in the layer: then nothing is committed. */
  readonly needles?: readonly Needle[];
  /** Told once, when all is copied and nothing is committed yet, what was read of the client's folders: one for each action that copied of them, in order. */
  readonly onRead?: (read: readonly FilesRead[]) => void;
};

/** What a copy has read of a folder of the client. */
export type FilesRead = {
  /** Of the entries as they were (`fingerprint` of `context`). */
  readonly fingerprint: Digest;
  /** sha256 of each file, 32 bytes, in the order of the selection's entries; names of one file each have it. */
  readonly digests: Uint8Array;
  /** Nothing was read before; nanoseconds since the epoch. */
  readonly startedAt: bigint;
};

export type FileTools = { readonly snapshots: SnapshotStore; readonly thread: FileThread };

/** The thread for big copies; it starts with the first of them. */
export function openFileThread(): FileThread {
  const entry = import.meta.url.endsWith('.ts') ? './file-thread.ts' : './file-thread.cjs';
  return createFileThread(new URL(entry, import.meta.url));
}

/**
 * Gives the committed snapshot; when it fails or `signal` aborts, nothing stays behind. Throws what selecting, placing and reading say
 * (`context/missing-source`, `context/changed`, `ops/not-a-folder`, `ops/unknown-user` ...), `ops/disk-full` when there is no room, `layer/secret-found`.
 */
export async function runFile(request: FileRequest, tools: FileTools, report: Report, signal: AbortSignal): Promise<SnapshotId> {
  const { op } = request;
  const base = op.base === null ? undefined : request.inputs[op.base];
  if (base?.kind === 'folder') throw new JettisonError('ops/bad-base', 'A folder of the client cannot be a base', { fault: 'bug' });
  await using active = await tools.snapshots.prepare(base?.snapshot, signal);
  const began = beginningOf(Date.now());
  const job: WriteJob = {
    kind: 'write',
    op,
    upper: active.folder,
    base: base ? foldersOf(tools.snapshots, base.snapshot) : [],
    inputs: request.inputs.map((input) => input && placeOf(tools.snapshots, input)),
  };
  const versions = findVersions(request, tools.snapshots);
  const { needles = [] } = request;
  const wanted = { layer: request.onLayer !== undefined || needles.length > 0, digests: request.onRead !== undefined, needles };
  const follower = followLayer(active.folder, wanted);
  try {
    const onBatch = (batch: LayerBatch, onTaken: () => void): void => follower.add(batch, onTaken);
    const whole: WriteJob = {
      ...job,
      ...(wanted.layer ? { isFollowed: true } : {}),
      ...(wanted.digests ? { wantsDigests: true } : {}),
      ...(versions === undefined ? {} : { versions }),
    };
    const { notes, toldBytes, fileBytes, copied, stamps, newest, libraries, sources } = await perform(
      whole,
      { thread: tools.thread, onBatch },
      signal,
    );
    for (const text of notes) report({ kind: 'note', text });
    if (newest === undefined) settleAll(active.folder, { began, epoch: epochOf(tools.snapshots, base?.snapshot) });
    const { diffId, digests, isTainted } = await orAborted(follower.finish(), signal);
    const told = diffId === undefined || toldBytes === undefined ? undefined : { diffId, size: toldBytes };
    // What is in all that was told is looked at once more, to say where.
    const isSearched = needles.length === 0 || (told !== undefined && !isTainted);
    const layer = isSearched ? told : await layerIdentity({ folder: active.folder, below: job.base, needles }, signal);
    request.onRead?.((copied ?? []).map((one) => filesRead(one, digests)));
    const committed = await active.commit(signal);
    const { id } = committed;
    if (sources !== undefined) keepTaken(tools.snapshots, id, sources);
    if (newest !== undefined) noteEpoch(tools.snapshots, committed, newest);
    if (fileBytes !== undefined) noteFileBytes(tools.snapshots, id, fileBytes);
    if (libraries !== undefined) noteLibraries(tools.snapshots, id, libraries);
    if (versions !== undefined && stamps !== undefined) keepVersion(tools.snapshots, versions, { id, stamps });
    if (layer !== undefined) request.onLayer?.(id, layer);
    return id;
  } finally {
    follower.stop();
  }
}

/** `digests`: of all files that were handed on, by number. */
function filesRead({ fingerprint, numbers, startedAt }: Copied, digests: Uint8Array | undefined): FilesRead {
  const own = new Uint8Array(numbers.length * digestLength);
  for (const [index, number] of numbers.entries()) {
    const digest = digests?.subarray(number * digestLength, (number + 1) * digestLength);
    if (digest?.length !== digestLength)
      throw new JettisonError('ops/no-digest', 'A file was copied, but its digest is not known', { fault: 'bug' });
    own.set(digest, index * digestLength);
  }
  return { fingerprint, digests: own, startedAt };
}

/**
 * Copies what lies below the folder `path` of a tree into the empty `folder`, which belongs to no snapshot and shares no inode with the tree, and
 * gives the folder's own mode and owner. Throws `ops/bad-cache-source`, `context/missing-source`, `ops/disk-full`.
 */
export async function copyOut(
  from: { readonly source: TreeSource; readonly path: string },
  folder: string,
  tools: FileTools,
  signal: AbortSignal,
): Promise<{ readonly mode: number; readonly uid: number; readonly gid: number }> {
  const place = placeOf(tools.snapshots, from.source);
  const action = copyFolder(from.path);
  const [top] = selectAll({ kind: 'digest', source: place, action }, {}).flatMap((selection) => selection?.sources ?? []);
  if (top?.top.kind !== 'folder') {
    throw new JettisonError('ops/bad-cache-source', `A cache mount cannot begin with "${from.path}": it is no folder`, {
      hint: 'Name a folder as source=',
    });
  }
  const op: FileOp = { kind: 'file', base: null, actions: [action] };
  await perform({ kind: 'write', op, upper: folder, base: [], inputs: [place], unlinked: true }, tools, signal);
  const { mode, uid, gid } = top.top;
  return from.source.kind === 'folder' ? { mode, uid: 0, gid: 0 } : { mode, uid, gid };
}

/** The digest of exactly what a copy takes: names, kinds, modes, owners, attributes, links, bytes; no times. */
export async function contentDigest(source: TreeSource, action: CopyAction, tools: FileTools, signal: AbortSignal): Promise<Digest> {
  const fact = `content:${digestOf(canonicalJson(readBy(action)))}`;
  const known = source.kind === 'snapshot' ? tools.snapshots.getFact(source.snapshot, fact) : undefined;
  if (known !== undefined) return parseDigest(known);
  const job: DigestJob = { kind: 'digest', source: placeOf(tools.snapshots, source), action };
  const { digest } = await perform(job, tools, signal);
  if (digest === undefined) throw new JettisonError('ops/no-digest', 'A digest job gave no digest', { fault: 'bug' });
  if (source.kind === 'snapshot') tools.snapshots.setFact(source.snapshot, fact, digest);
  return digest;
}

/** What of an action decides which files it reads. The version changes with the form of the digest. */
function readBy({ sources, wildcards, exclude, parents, libs, mode }: CopyAction): Json {
  const read = { version: 1, sources, wildcards, exclude, parents };
  return libs === undefined ? read : { ...read, libs, isDressed: mode !== null };
}

/** Beyond this, starting a thread and talking to it costs less than keeping this one busy. */
const smallJob = { entries: 64, bytes: 4 * 1024 * 1024 };

type Hands = { readonly thread: FileThread; readonly onBatch?: OnBatch };

async function perform(job: WriteJob | DigestJob, { thread, onBatch }: Hands, signal: AbortSignal): Promise<JobResult> {
  const checkpoint = (): void => signal.throwIfAborted();
  try {
    const selections = selectSmall(job, checkpoint);
    if (selections === undefined) return await thread.run(job, signal, onBatch);
    if (job.kind === 'digest') return await finishJob(job, selections, { checkpoint });
    return await finishJob(smallForm(job), selections, { checkpoint, ...(onBatch === undefined ? {} : { outlet: outletTo(onBatch) }) });
  } catch (error) {
    const full = fullDisk(error);
    if (full === undefined || job.kind === 'digest') throw error;
    throw new JettisonError('ops/disk-full', `Cannot write the files of this step to "${job.upper}": ${full}`, {
      fault: 'environment',
      hint: fullDiskHint,
      cause: error,
    });
  }
}

/** Copying few files again costs less than remembering them, and a small layer is identified at once. */
function smallForm(job: WriteJob): WriteJob {
  const { versions: _, isFollowed: __, ...rest } = job;
  return rest;
}

/** For work on this very thread: what is taken later has to be put aside. */
function outletTo(onBatch: OnBatch): Outlet {
  const block = new Uint8Array(smallBlock);
  const send = ({ used, isLayer, pieces, linked }: ContentBlock): void =>
    onBatch({ bytes: block.slice(0, used), isLayer, pieces, linked }, () => undefined);
  return { blocks: [block], send };
}

const smallBlock = 1 << 16;

/** What a job takes when it is small, listed once for all; undefined when it is not. */
function selectSmall(job: WriteJob | DigestJob, checkpoint: () => void): Selections | undefined {
  if (job.kind === 'write' && job.op.actions.some((action) => action.kind === 'copy' && action.unpack)) return undefined;
  try {
    const listed = selectAll(job, { maximum: smallJob.entries, checkpoint }).map(
      (selection) => selection && { ...selection, sources: selection.sources.map((source) => ({ ...source, below: [...source.below] })) },
    );
    const entries = listed.flatMap((selection) => (selection === undefined ? [] : [...selectedEntries(selection)]));
    return bytesOf(entries) <= smallJob.bytes ? listed : undefined;
  } catch (error) {
    if (isCode(error, 'context/too-many-files')) return undefined;
    throw error;
  }
}

function bytesOf(entries: readonly TreeEntry[]): number {
  return entries.reduce((sum, entry) => (entry.kind === 'file' ? sum + entry.size : sum), 0);
}

function placeOf(snapshots: SnapshotStore, source: TreeSource): TreePlace {
  if (source.kind === 'snapshot') return { kind: 'chain', folders: foldersOf(snapshots, source.snapshot) };
  return { kind: 'folder', path: source.path, ignore: source.ignore };
}

/** Topmost first. */
function foldersOf(snapshots: SnapshotStore, top: SnapshotId): readonly string[] {
  return snapshots
    .chain(top)
    .map((snapshot) => snapshot.folder)
    .toReversed();
}
