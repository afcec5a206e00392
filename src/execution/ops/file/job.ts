/** A FileOp as plain data, for this thread or another one, and what it takes to do it. Synchronous but for the unpacking of archives. */
import { fchmodSync, writeSync } from 'node:fs';
import type { CopyAction, FileOp, MakeFolderAction, Owner, WriteFileAction } from '#formats/graph/op.ts';
import { fromText, toText, type ByteString } from '#ground/base/byte-string.ts';
import type { Digest } from '#ground/base/digest.ts';
import { unreachable, type JettisonError } from '#ground/base/errors.ts';
import { closeFile } from '#ground/linux/syscall.ts';
import type { Tree, TreeEntry } from '#ground/linux/tree.ts';
import { setOwner } from '#ground/linux/owner.ts';
import { digestLines, type TreeDigestOptions } from '#ground/linux/tree-digest.ts';
import { createFingerprint, type Fingerprint } from '#stores/context/fingerprint.ts';
import {
  selectForCopy,
  selectionDigest,
  selectionLines,
  type SelectedEntry,
  type SelectedSource,
  type Selection,
  type SelectOptions,
} from '#stores/context/select.ts';
import { openChainTree } from '#stores/snapshot/chain-tree.ts';
import type { BroughtLibrary } from '../libraries.ts';
import { holdsArchive } from './archive.ts';
import { bring } from './bring.ts';
import { createContent, type Content, type ContentBlock } from './content.ts';
import { digestEntry } from './digest-entry.ts';
import { bringsLibs, libraryLines, mayNeedLibraries, type Taken } from './libraries.ts';
import { parseMode } from './mode.ts';
import { findOwner, type OwnerIds } from './owner.ts';
import { createEntryPlacer, createFile, type LinkedInodes, type Written } from './place-entry.ts';
import { openDestination, openPlace, placeSource, type Destination } from './place.ts';
import { trackPlaces, type TrackedPlaces } from './replaced-files.ts';
import { datedByContents, type Source } from './source.ts';
import { openStamps, type EarlierCopy } from './stamps.ts';
import type { TakenSource } from './taken.ts';
import { createTelling, type Telling } from './telling.ts';
import { openSource, openTree, placeFor, type TreePlace } from './tree-place.ts';
import { unpackArchive } from './unpack.ts';
import { joinPath, openUpper, type Upper } from './upper.ts';

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
  /** Bytes of the files that the op made, each inode once, where they could be counted beside the work. */
  readonly fileBytes?: number;
  /** One for each copy of files of the client, in order, where that was asked for. */
  readonly copied?: readonly Copied[];
  /** For the next version of this copy. */
  readonly stamps?: string;
  /** The sources of its copies, in order. */
  readonly sources?: readonly TakenSource[];
  /** The newest time of what was copied, nanoseconds since the epoch, where all that the op did was copying. */
  readonly newest?: bigint;
  /** What `--libs` brought, where it was asked for. */
  readonly libraries?: readonly BroughtLibrary[];
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
  return job.op.actions.map((action) =>
    action.kind === 'copy' ? selectForCopy(openTree(placeFor(job.inputs, action)), action, options) : undefined,
  );
}

/** Does all actions of an op, in order. Whoever asked throws the upper folder away when this fails. */
async function writeAll(job: WriteJob, selections: Selections, { checkpoint, outlet }: Watch): Promise<Omit<JobResult, 'digest'>> {
  const base = openChainTree(job.base);
  using upper = openUpper(job.upper, base);
  const wanted = { layer: job.isFollowed === true && isOneSource(job, selections), digests: job.wantsDigests === true };
  const content = outlet === undefined ? undefined : createContent(outlet.blocks, wanted, outlet.send);
  const telling = content !== undefined && wanted.layer ? createTelling(upper, content) : undefined;
  const copied: Copied[] = [];
  const sources: TakenSource[] = [];
  const isAmbiguous = selections.reduce((sum, selection) => sum + (selection?.sources.length ?? 0), 0) > 1;
  let stamps: string | undefined;
  const newest = { time: 0n };
  const linked: LinkedInodes = new Map();
  const written: Written = { bytes: 0, isKnown: true };
  const placed = trackPlaces();
  const notes: string[] = [];
  let libraries: readonly BroughtLibrary[] | undefined;
  for (const [index, action] of job.op.actions.entries()) {
    switch (action.kind) {
      case 'copy': {
        const selection = selections[index];
        const name = `${index}`;
        const on = {
          job,
          upper,
          base,
          linked,
          written,
          placed,
          checkpoint,
          telling,
          content,
          copied,
          newest,
          name,
          sources,
          isAmbiguous,
          index,
        };
        const taken: Taken[] = [];
        if (selection) stamps = await copy({ ...on, taken }, action, selection);
        if (bringsLibs(action)) {
          const found = bring(on, action, taken);
          notes.push(...found.notes);
          libraries = [...(libraries ?? []), ...found.brought];
        }
        break;
      }
      case 'make-folder':
        makeFolder(upper, base, { action, notes });
        break;
      case 'write-file':
        placed.add(writeFile(upper, base, { action, written }), `<<${action.name}`);
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
    sources,
    ...(toldBytes === undefined ? {} : { toldBytes }),
    ...(written.isKnown && !upper.hasCleared() ? { fileBytes: written.bytes } : {}),
    ...(stamps === undefined ? {} : { stamps }),
    ...(libraries === undefined ? {} : { libraries }),
    ...(isOnlyCopying(job.op) ? { newest: newest.time } : {}),
  };
}

/** The layer is the contents of one folder, or one file: then it is written in the order in which a layer has its entries. */
function isOneSource({ op }: WriteJob, selections: Selections): boolean {
  return isOneCopy(op) && selections[0]?.sources.length === 1;
}

/** No archive is unpacked, no text written, no library added. */
export function isOneCopy(op: FileOp): boolean {
  return op.actions.length === 1 && isOnlyCopying(op) && !op.actions.some((action) => action.kind === 'copy' && bringsLibs(action));
}

function isOnlyCopying({ actions }: FileOp): boolean {
  return actions.every((action) => action.kind === 'copy' && !action.unpack);
}

function digestAll(job: DigestJob, selection: Selection, checkpoint: Checkpoint): Digest {
  const tree = openTree(job.source);
  using source = openSource(job.source, tree);
  const options: TreeDigestOptions = {
    digestFile(entry) {
      checkpoint();
      return digestEntry(source, entry);
    },
    xattrs: (entry) => tree.xattrs(entry),
    owners: source.isCommitted ? 'kept' : 'root',
  };
  const { action } = job;
  if (!bringsLibs(action)) return selectionDigest(selection, options);
  return digestLines([...selectionLines(selection, options), ...libraryLines(selection, { tree, action, checkpoint }, options)]);
}

type CopyTools = {
  readonly job: WriteJob;
  readonly upper: Upper;
  readonly base: Tree;
  readonly linked: LinkedInodes;
  readonly written: Written;
  readonly placed: TrackedPlaces;
  readonly checkpoint: Checkpoint;
  readonly telling: Telling | undefined;
  readonly content: Content | undefined;
  /** What was read of the client's folders is added here. */
  readonly copied: Copied[];
  /** The newest time that was seen. */
  readonly newest: { time: bigint };
  readonly name: string;
  /** With `--libs`: what may need libraries is added here. */
  readonly taken?: Taken[];
  /** What is taken is added here. */
  readonly sources: TakenSource[];
  /** The op has several sources. */
  readonly isAmbiguous: boolean;
  /** Place of the action. */
  readonly index: number;
};

/** Gives what the next version wants to know, if that was asked for. */
async function copy(on: CopyTools, action: CopyAction, selection: Selection): Promise<string | undefined> {
  const owner = ownerOf(action.owner, on.base);
  const look = { owner, mode: parseMode(action.mode) };
  const to = destinationOf(action.destination, action, owner);
  const place = placeFor(on.job.inputs, action);
  using source = openSource(place, openTree(place));
  const { versions } = on.job;
  using stamps = versions === undefined || source.isCommitted ? undefined : openStamps(versions.earlier, `${owner?.uid}:${owner?.gid}`);
  const startedAt = BigInt(Date.now()) * 1_000_000n;
  const isRead = on.job.wantsDigests === true && !source.isCommitted;
  const seen = isRead ? createFingerprint() : undefined;
  const numbers: number[] = [];
  for (const [index, given] of selection.sources.entries()) {
    const below: SelectedEntry[] = [];
    const names = on.isAmbiguous && !source.isCommitted ? emptyNames() : undefined;
    const note = (one: SelectedEntry): void => {
      names?.push(one.path);
      if (bringsLibs(action) && mayNeedLibraries(one.entry, action)) below.push(one);
    };
    const isNoting = names !== undefined || bringsLibs(action);
    const dated = source.isCommitted ? { ...given, top: datedByContents(source.tree, given.top) } : given;
    const selected = watched(dated, on.newest, { print: seen, below: isNoting ? note : undefined });
    const take = (kind: TakenSource['kind']): void => {
      const { name, top } = selected;
      on.sources.push({ action: on.index, name, path: top.path, kind, ...(kind === 'folder' && names !== undefined ? { names } : {}) });
    };
    const placer = createEntryPlacer({
      upper: on.upper,
      source,
      look,
      linked: on.linked,
      written: on.written,
      mayLink: on.job.unlinked !== true,
      sourceName: `${on.name}.${index}/`,
      telling: on.telling,
      stamps,
      content: on.content,
      numbers,
    });
    if (action.unpack && selected.top.kind === 'file' && (await tryUnpack(on, action, { source, entry: selected.top, owner }))) {
      if (isRead) placer.read(selected.top);
      take('archive');
      continue;
    }
    take(selected.top.kind === 'folder' ? 'folder' : 'file');
    const path = placeSource({ upper: on.upper, placer, checkpoint: on.checkpoint }, selected, to);
    if (selected.top.kind !== 'folder') on.placed.add(path, `/${toText(selected.top.path)}`);
    if (selected.top.kind === 'file') on.taken?.push({ entry: selected.top, path, isNamed: true });
    for (const one of below) on.taken?.push({ entry: one.entry, path: joinPath(path, one.path), isNamed: false });
  }
  if (seen !== undefined) on.copied.push({ fingerprint: seen.finish(), numbers: new Uint32Array(numbers), startedAt });
  return stamps?.print();
}

function emptyNames(): ByteString[] {
  return [];
}

type Seen = { readonly print: Fingerprint | undefined; readonly below: ((selected: SelectedEntry) => void) | undefined };

/** The source, each of its entries told to `newest` and `seen` as it comes by. */
function watched(source: SelectedSource, newest: { time: bigint }, seen: Seen): SelectedSource {
  const see = (entry: TreeEntry): void => {
    if (entry.mtime > newest.time) newest.time = entry.mtime;
    seen.print?.add(entry);
  };
  const below = function* (): Generator<SelectedEntry> {
    for (const selected of source.below) {
      see(selected.entry);
      seen.below?.(selected);
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
  on.written.isKnown = false;
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
function writeFile(
  upper: Upper,
  base: Tree,
  { action, written }: { readonly action: WriteFileAction; readonly written: Written },
): ByteString {
  const owner = ownerOf(action.owner, base);
  using place = openPlace(upper, destinationOf(action.path, action, owner), fromText(action.name));
  const file = createFile(place.folder, place.name);
  try {
    const bytes = new TextEncoder().encode(action.text);
    for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at);
    written.bytes += bytes.length;
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
