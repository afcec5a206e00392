/** A FileOp as plain data, for this thread or another one, and what it takes to do it. Synchronous but for the unpacking of archives. */
import { fchmodSync, writeSync } from 'node:fs';
import type { CopyAction, FileOp, MakeFolderAction, Owner, WriteFileAction } from '#formats/graph/op.ts';
import { fromText, toText, type ByteString } from '#ground/base/byte-string.ts';
import type { Digest } from '#ground/base/digest.ts';
import { unreachable, type JettisonError } from '#ground/base/errors.ts';
import { closeFile } from '#ground/linux/syscall.ts';
import type { Tree, TreeEntry } from '#ground/linux/tree.ts';
import { setOwner } from '#ground/linux/owner.ts';
import { openLocalContext } from '#stores/context/local.ts';
import { createFingerprint, type Fingerprint } from '#stores/context/fingerprint.ts';
import {
  selectForCopy,
  selectionDigest,
  type SelectedEntry,
  type SelectedSource,
  type Selection,
  type SelectOptions,
} from '#stores/context/select.ts';
import { openChainTree } from '#stores/snapshot/chain-tree.ts';
import { holdsArchive } from './archive.ts';
import { createContent, type Content, type ContentBlock } from './content.ts';
import { digestEntry } from './digest-entry.ts';
import { parseMode } from './mode.ts';
import { findOwner, type OwnerIds } from './owner.ts';
import { createEntryPlacer, createFile, type LinkedInodes } from './place-entry.ts';
import { openDestination, openPlace, placeSource, type Destination } from './place.ts';
import { openClientSource, openCommittedSource, type Source } from './source.ts';
import { openStamps, type EarlierCopy } from './stamps.ts';
import { createTelling, type Telling } from './telling.ts';
import { unpackArchive } from './unpack.ts';
import { joinPath, openUpper, type Upper } from './upper.ts';

/** Where a tree lies on this machine: folders of a chain, topmost first, or a folder of the client. */
export type TreePlace =
  | { readonly kind: 'chain'; readonly folders: readonly string[] }
  | { readonly kind: 'folder'; readonly path: string; readonly ignore: readonly string[] };

export type WriteJob = {
  readonly kind: 'write';
  readonly op: FileOp;
  /** Absolute path of the active snapshot's folder. */
  readonly upper: string;
  /** The chain it stands on, topmost first. */
  readonly base: readonly string[];
  readonly inputs: readonly (TreePlace | undefined)[];
  /** Nothing shares an inode with what it is copied from: the folder will be written to by others. */
  readonly unlinked?: true;
  /** Tell the layer while it is written. */
  readonly isFollowed?: true;
  /** Hand on all files of folders of the client, and say what was read of them. */
  readonly wantsDigests?: true;
  /** Keep for the next version of this copy what was copied; `earlier`: what the version before kept. */
  readonly versions?: { readonly earlier: EarlierCopy | undefined };
};

export type DigestJob = { readonly kind: 'digest'; readonly source: TreePlace; readonly action: CopyAction };

export type JobResult = {
  /** Of a digest job. */
  readonly digest: Digest | undefined;
  /** What a person should know of what became of the files. */
  readonly notes: readonly string[];
  /** The layer was told as a whole: the bytes of its files, each inode once. */
  readonly toldBytes?: number;
  /** One for each copy of files of the client, in order, where that was asked for. */
  readonly copied?: readonly Copied[];
  /** For the next version of this copy. */
  readonly stamps?: string;
  /** The newest time of what was copied, nanoseconds since the epoch, where all that the op did was copying. */
  readonly newest?: bigint;
};

/** What a copy has read of a folder of the client. */
export type Copied = {
  /** Of the entries as they were (`fingerprint` of `context`). */
  readonly fingerprint: Digest;
  /** For each file, in the order of the entries, the number of its bytes among those that were handed on. */
  readonly numbers: Uint32Array;
  /** Nothing was read before, nanoseconds since the epoch. */
  readonly startedAt: bigint;
};

/** Takes what a job reads and tells, in `blocks` that are filled in turns; returns when the next one may be written to. */
export type Outlet = { readonly blocks: readonly Uint8Array[]; readonly send: (block: ContentBlock) => void };

/** Called for each entry; throws to stop. */
export type Checkpoint = () => void;

/** Does a job, however big. */
export async function runJob(job: WriteJob | DigestJob, checkpoint: Checkpoint, outlet: Outlet): Promise<JobResult> {
  return await finishJob(job, selectAll(job, { checkpoint }), { checkpoint, outlet });
}

export type Watch = { readonly checkpoint: Checkpoint; readonly outlet?: Outlet | undefined };

/** Does a job whose sources are selected already. */
export async function finishJob(job: WriteJob | DigestJob, selections: Selections, watch: Watch): Promise<JobResult> {
  const unmatched = selections.flatMap((selection) => selection?.unmatched ?? []).map((pattern) => `No file matches "${pattern}"`);
  if (job.kind === 'digest') return { digest: digestAll(job, selections[0] ?? noFiles, watch.checkpoint), notes: unmatched };
  const { notes, ...written } = await writeAll(job, selections, watch);
  return { digest: undefined, notes: [...unmatched, ...notes], ...written };
}

/** What each action of a job takes; undefined for an action that copies nothing. */
export type Selections = readonly (Selection | undefined)[];

const noFiles: Selection = { sources: [], unmatched: [] };

export function selectAll(job: WriteJob | DigestJob, options: SelectOptions): Selections {
  if (job.kind === 'digest') return [selectForCopy(openTree(job.source), job.action, options)];
  return job.op.actions.map((action) => (action.kind === 'copy' ? selectForCopy(treeFor(job, action), action, options) : undefined));
}

/** Does all actions of an op, in order. Whoever asked throws the upper folder away when this fails. */
async function writeAll(job: WriteJob, selections: Selections, { checkpoint, outlet }: Watch): Promise<Omit<JobResult, 'digest'>> {
  const base = openChainTree(job.base);
  using upper = openUpper(job.upper, base);
  const wanted = { layer: job.isFollowed === true && isOneSource(job, selections), digests: job.wantsDigests === true };
  const content = outlet === undefined ? undefined : createContent(outlet.blocks, wanted, outlet.send);
  const telling = content !== undefined && wanted.layer ? createTelling(upper, content) : undefined;
  const copied: Copied[] = [];
  let stamps: string | undefined;
  const newest = { time: 0n };
  const linked: LinkedInodes = new Map();
  const placed = trackPlaces();
  const notes: string[] = [];
  for (const [index, action] of job.op.actions.entries()) {
    switch (action.kind) {
      case 'copy': {
        const selection = selections[index];
        if (selection)
          stamps = await copy(
            { job, upper, base, linked, placed, checkpoint, telling, content, copied, newest, name: `${index}` },
            action,
            selection,
          );
        break;
      }
      case 'make-folder':
        makeFolder(upper, base, { action, notes });
        break;
      case 'write-file':
        placed.add(writeFile(upper, base, action), `<<${action.name}`);
        break;
      default:
        unreachable(action, 'file action');
    }
  }
  upper.finish();
  content?.finish();
  const toldBytes = telling?.finish();
  return {
    notes: [...notes, ...placed.replaced()],
    copied,
    ...(toldBytes === undefined ? {} : { toldBytes }),
    ...(stamps === undefined ? {} : { stamps }),
    ...(isOnlyCopying(job.op) ? { newest: newest.time } : {}),
  };
}

/** The layer is the contents of one folder, or one file: then it is written in the order in which a layer has its entries. */
function isOneSource({ op }: WriteJob, selections: Selections): boolean {
  return isOneCopy(op) && selections[0]?.sources.length === 1;
}

/** No archive is unpacked, no text written. */
export function isOneCopy(op: FileOp): boolean {
  return op.actions.length === 1 && isOnlyCopying(op);
}

function isOnlyCopying({ actions }: FileOp): boolean {
  return actions.every((action) => action.kind === 'copy' && !action.unpack);
}

/** Where single files went. */
function trackPlaces() {
  const places = new Map<ByteString, string[]>();
  return {
    add(path: ByteString, source: string): void {
      const sources = places.get(path);
      if (sources === undefined) places.set(path, [source]);
      else if (sources.at(-1) !== source) sources.push(source);
    },
    /** All but the last source that went to a path are lost. */
    replaced: (): readonly string[] => [...places].flatMap(([path, sources]) => (sources.length > 1 ? replacedText(path, sources) : [])),
  };
}

function replacedText(path: ByteString, sources: readonly string[]): string {
  const lost = sources.length === 2 ? `"${sources[0]}" is` : `"${sources[0]}" and ${sources.length - 2} more are`;
  return `Warning: "/${toText(path)}" holds "${sources.at(-1)}": ${lost} lost, being copied to the same path. If that was meant as a folder, end its name with "/"`;
}

function digestAll(job: DigestJob, selection: Selection, checkpoint: Checkpoint): Digest {
  const tree = openTree(job.source);
  using source = openSource(job.source, tree);
  return selectionDigest(selection, {
    digestFile(entry) {
      checkpoint();
      return digestEntry(source, entry);
    },
    xattrs: (entry) => tree.xattrs(entry),
    owners: source.isCommitted ? 'kept' : 'root',
  });
}

type CopyTools = {
  readonly job: WriteJob;
  readonly upper: Upper;
  readonly base: Tree;
  readonly linked: LinkedInodes;
  readonly placed: ReturnType<typeof trackPlaces>;
  readonly checkpoint: Checkpoint;
  readonly telling: Telling | undefined;
  readonly content: Content | undefined;
  /** What was read of the client's folders is added here. */
  readonly copied: Copied[];
  /** The newest time that was seen. */
  readonly newest: { time: bigint };
  readonly name: string;
};

/** Gives what the next version wants to know, if that was asked for. */
async function copy(on: CopyTools, action: CopyAction, selection: Selection): Promise<string | undefined> {
  const owner = ownerOf(action.owner, on.base);
  const look = { owner, mode: parseMode(action.mode) };
  const to = destinationOf(action.destination, action, owner);
  using source = openSource(placeFor(on.job, action), treeFor(on.job, action));
  const { versions } = on.job;
  using stamps = versions === undefined || source.isCommitted ? undefined : openStamps(versions.earlier, `${owner?.uid}:${owner?.gid}`);
  const startedAt = BigInt(Date.now()) * 1_000_000n;
  const isRead = on.job.wantsDigests === true && !source.isCommitted;
  const seen = isRead ? createFingerprint() : undefined;
  const numbers: number[] = [];
  for (const [index, given] of selection.sources.entries()) {
    const selected = watched(given, on.newest, seen);
    const placer = createEntryPlacer({
      upper: on.upper,
      source,
      look,
      linked: on.linked,
      mayLink: on.job.unlinked !== true,
      sourceName: `${on.name}.${index}/`,
      telling: on.telling,
      stamps,
      content: on.content,
      numbers,
    });
    if (action.unpack && selected.top.kind === 'file' && (await tryUnpack(on, action, { source, entry: selected.top, owner }))) {
      if (isRead) placer.read(selected.top);
      continue;
    }
    const path = placeSource({ upper: on.upper, placer, checkpoint: on.checkpoint }, selected, to);
    if (selected.top.kind !== 'folder') on.placed.add(path, `/${toText(selected.top.path)}`);
  }
  if (seen !== undefined) on.copied.push({ fingerprint: seen.finish(), numbers: new Uint32Array(numbers), startedAt });
  return stamps?.print();
}

/** The source, each of its entries told to `newest` and `seen` as it comes by. */
function watched(source: SelectedSource, newest: { time: bigint }, seen: Fingerprint | undefined): SelectedSource {
  const see = (entry: TreeEntry): void => {
    if (entry.mtime > newest.time) newest.time = entry.mtime;
    seen?.add(entry);
  };
  const below = function* (): Generator<SelectedEntry> {
    for (const selected of source.below) {
      see(selected.entry);
      yield selected;
    }
  };
  see(source.top);
  return { ...source, below: { [Symbol.iterator]: below } };
}

/** False when the file is no archive: then it is copied. --chmod says nothing about what an archive holds. */
async function tryUnpack(
  on: CopyTools,
  action: CopyAction,
  from: { readonly source: Source; readonly entry: TreeEntry; readonly owner: OwnerIds | undefined },
): Promise<boolean> {
  const open = (): number => from.source.open(from.entry);
  if (!(await withFile(open, holdsArchive))) return false;
  using folder = openDestination(on.upper, {
    ...destinationOf(action.destination, action, from.owner),
    made: { mode: 0o755, ...(from.owner ?? root) },
  });
  const { upper, checkpoint } = on;
  const archive = `/${toText(from.entry.path)}`;
  await withFile(open, async (file) => {
    await unpackArchive({ upper, destination: folder.path, owner: from.owner, checkpoint, archive }, file);
    from.source.check(file, from.entry);
  });
  return true;
}

async function withFile<T>(open: () => number, use: (file: number) => Promise<T>): Promise<T> {
  const file = open();
  try {
    return await use(file);
  } finally {
    closeFile(file);
  }
}

/** A folder of a user that the base does not know is root's, as with BuildKit, and that is noted. */
function makeFolder(upper: Upper, base: Tree, { action, notes }: { readonly action: MakeFolderAction; readonly notes: string[] }): void {
  const unknown: JettisonError[] = [];
  const { uid, gid } = action.owner === null ? root : findOwner(action.owner, base, (error) => unknown.push(error));
  for (const { message } of unknown) notes.push(`Warning: ${message}, so the folder "${action.path}" belongs to ${uid}:${gid}`);
  upper.makeFolders(fromText(action.path), { mode: action.mode & 0o7777, uid, gid });
}

/** Gives the path of the file. */
function writeFile(upper: Upper, base: Tree, action: WriteFileAction): ByteString {
  const owner = ownerOf(action.owner, base);
  using place = openPlace(upper, destinationOf(action.path, action, owner), fromText(action.name));
  const file = createFile(place.folder, place.name);
  try {
    const bytes = new TextEncoder().encode(action.text);
    for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at);
    setOwner(file, owner?.uid ?? 0, owner?.gid ?? 0);
    fchmodSync(file, parseMode(action.mode)(0o644, false));
  } finally {
    closeFile(file);
  }
  return joinPath(place.folder.path, place.name);
}

const root: OwnerIds = { uid: 0, gid: 0 };

function ownerOf(owner: Owner, base: Tree): OwnerIds | undefined {
  return owner === null ? undefined : findOwner(owner, base, throwError);
}

function throwError(error: JettisonError): never {
  throw error;
}

/** Folders made on the way take --chown and an octal --chmod, of it what `mkdir` under umask 022 gives, as with Docker; a symbolic one says nothing about them. */
function destinationOf(
  path: string,
  action: { readonly destinationIsFolder: boolean; readonly mode: number | string | null },
  owner: OwnerIds | undefined,
): Destination {
  const mode = typeof action.mode === 'number' ? action.mode & 0o755 : 0o755;
  return { path, isFolder: action.destinationIsFolder, made: { mode, ...(owner ?? root) } };
}

function placeFor(job: WriteJob, action: CopyAction): TreePlace {
  return (action.input === null ? undefined : job.inputs[action.input]) ?? { kind: 'chain', folders: [] };
}

function treeFor(job: WriteJob, action: CopyAction): Tree {
  return openTree(placeFor(job, action));
}

function openTree(place: TreePlace): Tree {
  return place.kind === 'chain' ? openChainTree(place.folders) : openLocalContext({ folder: place.path, ignore: place.ignore });
}

function openSource(place: TreePlace, tree: Tree): Source {
  return place.kind === 'chain' ? openCommittedSource(tree) : openClientSource(tree, fromText(place.path));
}
