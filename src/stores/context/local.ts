/** A build context that is a folder of the client, ignored paths left out. Nothing is read before it is asked for; what was read is kept, so one context object shows one state. */
import { closeSync, constants, fstatSync, openSync, realpathSync } from 'node:fs';
import { asByteString, fromText, nodePath, type ByteString } from '#ground/base/byte-string.ts';
import { JettisonError, systemCode } from '#ground/base/errors.ts';
import { parsePatterns, type PatternSet, type PatternState } from '#ground/base/patterns.ts';
import { nodeFolderReader, type FolderReader } from '#ground/linux/folder-reader.ts';
import { putStats, statField, statLength } from '#ground/linux/stat-rows.ts';
import { describeRow, entryChanged, lookAt, readEntryFile, resolveLinks } from '#ground/linux/tree-read.ts';
import type { Tree, TreeEntry } from '#ground/linux/tree.ts';
import { notReadable } from './errors.ts';
import type { IgnoreFile } from './ignore.ts';

export type LocalContext = Tree & {
  /** The folder's real path. */
  readonly folder: ByteString;
  /** Shows what was seen of a folder and of the folders in it, each before what it holds, without an object for each file. */
  scan(path: ByteString, visit: FolderVisitor): void;
};

/** Gives the places (in `names`) of those folders that it wants to see from inside, too. */
export type FolderVisitor = (path: ByteString, look: FolderLook) => readonly number[];

/** What one look at a folder saw of what is not left out, and of folders that are but may hold something that is not. */
export type FolderLook = {
  /** In byte order. */
  readonly names: readonly ByteString[];
  /** A row for each name; all zeros where there is nothing to be seen. */
  readonly rows: Float64Array;
  /** Of links, by their place in `names`. */
  readonly targets: ReadonlyMap<number, ByteString>;
};

/**
 * Opens the folder (links in its own path are followed) with `ignore` patterns as `parsePatterns` takes them. A folder that is left out
 * still shows where something below it is kept by a `!` pattern, with just that in it. Inside, no link is ever followed by the kernel: each folder is opened by
 * itself and must be the inode that was seen in the folder above it, else `linux/changed`.
 * Extended attributes are not read: every entry has none. `reader`: how folders are read, Node's way if left out.
 * Throws `context/not-found`, `context/not-a-folder`, `base/bad-pattern`; reading throws `context/no-permission`.
 */
export function openLocalContext(options: {
  readonly folder: string;
  readonly ignore: readonly string[];
  /** Where the patterns stand, for whoever asks why a path is left out. */
  readonly ignoreFile?: Pick<IgnoreFile, 'name' | 'lines'> | undefined;
  readonly reader?: FolderReader;
}): LocalContext {
  const reading = { patterns: parsePatterns(options.ignore), reader: options.reader ?? nodeFolderReader };
  const root = openRoot(options.folder, reading.patterns);
  const entry = (path: ByteString): TreeEntry | undefined => {
    const place = findPlace(root, path, reading);
    return place !== undefined && isShown(place, reading) ? place.entry : undefined;
  };
  return {
    folder: root.entry.hostPath,
    entry,
    resolve: (path, followLast) => resolveLinks(entry, path, followLast),
    list(path) {
      const place = findPlace(root, path, reading);
      return place === undefined ? [] : listShown(place, reading);
    },
    readFile: readEntryFile,
    xattrs: () => new Map(),
    leftOutBy: (path) => placeOfRule(path, reading.patterns, options.ignoreFile),
    scan(path, visit) {
      const place = findPlace(root, path, reading);
      if (place?.entry.kind === 'folder') scanFrom(place, visit, reading);
    },
  };
}

type Reading = { readonly patterns: PatternSet; readonly reader: FolderReader };

function placeOfRule(path: ByteString, patterns: PatternSet, file: Pick<IgnoreFile, 'name' | 'lines'> | undefined): string | undefined {
  const state = patterns.stateOf(path);
  const line = patterns.leavesOut(state) ? file?.lines[patterns.decider(state)] : undefined;
  return file === undefined || line === undefined ? undefined : `${file.name}:${line}`;
}

/** What is known of one inode of the folder. */
type Place = {
  readonly entry: TreeEntry;
  /** The row that the entry was made of, and where it begins. */
  readonly rows: Float64Array;
  readonly at: number;
  readonly state: PatternState;
  readonly isLeftOut: boolean;
  /** Entries looked up so far; all that may be shown, in byte order, once `isListed`. */
  readonly children: Map<string, Place | undefined>;
  look: FolderLook | undefined;
  isListed: boolean;
  shown: readonly TreeEntry[] | undefined;
};

/** Of everything but folders; nothing is ever put in. */
const noChildren: Place['children'] = new Map();

function openRoot(folder: string, patterns: PatternSet): Place {
  const hostPath = realPathOf(folder);
  const stats = lookAt(hostPath);
  if (stats?.isDirectory() !== true) {
    throw new JettisonError('context/not-a-folder', `The build context "${folder}" is not a folder`, {
      hint: 'Give the path of a folder that holds the files to build from',
    });
  }
  const rows = new Float64Array(statLength);
  putStats(rows, 0, stats);
  const entry = describeRow({ path: fromText(''), hostPath, rows, at: 0, target: undefined });
  return placeOf(entry, { rows, at: 0, state: patterns.start, isLeftOut: false });
}

function placeOf(entry: TreeEntry, seen: Pick<Place, 'rows' | 'at' | 'state' | 'isLeftOut'>): Place {
  const children = entry.kind === 'folder' ? new Map() : noChildren;
  return { entry, ...seen, children, look: undefined, isListed: false, shown: undefined };
}

/** The real path of a build context, links in it followed. Throws `context/not-found`. */
export function realPathOf(folder: string): ByteString {
  try {
    return asByteString(realpathSync.native(folder, 'latin1'));
  } catch (error) {
    const code = systemCode(error);
    if (code !== 'ENOENT' && code !== 'ENOTDIR' && code !== 'ELOOP') throw error;
    throw new JettisonError('context/not-found', `Cannot find the build context "${folder}"`, {
      hint: 'Give the path of a folder that holds the files to build from',
      cause: error,
    });
  }
}

function findPlace(root: Place, path: ByteString, reading: Reading): Place | undefined {
  if (path === '') return root;
  let place: Place | undefined = root;
  for (const name of path.split('/')) {
    if (place?.entry.kind !== 'folder') return undefined;
    place = childOf(place, name, reading);
  }
  return place;
}

function childOf(folder: Place, name: string, reading: Reading): Place | undefined {
  if (folder.isListed || folder.children.has(name)) return folder.children.get(name);
  if (name === '' || name === '.' || name === '..' || name.includes('\0')) return undefined;
  if (folder.look !== undefined) {
    listChildren(folder, folder.look, reading);
    return folder.children.get(name);
  }
  const child = childIn(folder, lookFor(folder, [asByteString(name)], reading), 0, reading);
  folder.children.set(name, child);
  return child;
}

function isShown(place: Place, reading: Reading): boolean {
  return !place.isLeftOut || listShown(place, reading).length > 0;
}

function listShown(place: Place, reading: Reading): readonly TreeEntry[] {
  if (place.entry.kind !== 'folder') return [];
  if (!place.isListed) listChildren(place, lookInto(place, reading), reading);
  place.shown ??= [...place.children.values()].flatMap((child) => (child !== undefined && isShown(child, reading) ? [child.entry] : []));
  return place.shown;
}

function scanFrom(folder: Place, visit: FolderVisitor, reading: Reading): void {
  const look = lookInto(folder, reading);
  for (const index of visit(folder.entry.path, look)) {
    const name = look.names[index] ?? '';
    const child = folder.children.get(name) ?? childIn(folder, look, index, reading);
    if (child?.entry.kind !== 'folder') continue;
    folder.children.set(name, child);
    scanFrom(child, visit, reading);
  }
}

/** From what was seen once, all places. */
function listChildren(folder: Place, look: FolderLook, reading: Reading): void {
  const before = new Map(folder.children);
  folder.children.clear();
  for (const [index, name] of look.names.entries()) folder.children.set(name, before.get(name) ?? childIn(folder, look, index, reading));
  folder.isListed = true;
}

function lookInto(folder: Place, reading: Reading): FolderLook {
  folder.look ??= keepEarlier(folder, lookFor(folder, undefined, reading));
  return folder.look;
}

/** What was seen first of an entry stays what it is. */
function keepEarlier(folder: Place, look: FolderLook): FolderLook {
  const targets = new Map(look.targets);
  for (const [name, child] of folder.children) {
    const index = child === undefined ? -1 : look.names.indexOf(asByteString(name));
    if (child === undefined || index < 0) {
      folder.children.delete(name);
      continue;
    }
    look.rows.set(child.rows.subarray(child.at, child.at + statLength), index * statLength);
    targets.delete(index);
    if (child.entry.target !== undefined) targets.set(index, child.entry.target);
  }
  return { ...look, targets };
}

/** Looks at these names, or at all, that are not left out with all that may be below them. */
function lookFor(folder: Place, names: readonly ByteString[] | undefined, reading: Reading): FolderLook {
  const seen = insideFolder(folder, (inside) => lookInside(folder, { inside, names, reading }));
  return seen ?? { names: [], rows: new Float64Array(0), targets: new Map() };
}

function lookInside(
  folder: Place,
  given: { readonly inside: number; readonly names: readonly ByteString[] | undefined; readonly reading: Reading },
): FolderLook {
  const { inside, reading } = given;
  const { reader } = reading;
  const { names, leftOut } = namesToSee(folder, given.names ?? reader.names(inside), reading.patterns);
  const rows = reader.stats(inside, names);
  const targets = new Map<number, ByteString>();
  for (let index = 0; index < names.length; index++) {
    const mode = rows[index * statLength + statField.mode] ?? 0;
    const type = mode & constants.S_IFMT;
    if (leftOut.has(index) && type !== constants.S_IFDIR) rows.fill(0, index * statLength, (index + 1) * statLength);
    else if (type === constants.S_IFLNK) targets.set(index, reader.target(inside, names[index] ?? fromText('')));
  }
  return { names, rows, targets };
}

/** `leftOut`: those of the names that are left out themselves, but may be folders with something in them that is not. */
function namesToSee(
  folder: Place,
  all: readonly ByteString[],
  patterns: PatternSet,
): { readonly names: readonly ByteString[]; readonly leftOut: ReadonlySet<number> } {
  const leftOut = new Set<number>();
  if (patterns.start.length === 0) return { names: all, leftOut };
  const names: ByteString[] = [];
  for (const name of all) {
    const path = pathIn(folder, name);
    if (patterns.leavesOut(patterns.enter(path, folder.state))) {
      if (!patterns.mayKeepBelow(path)) continue;
      leftOut.add(names.length);
    }
    names.push(name);
  }
  return { names, leftOut };
}

/** The entry at `index` of what was seen of a folder; undefined when there is nothing. */
function childIn(folder: Place, look: FolderLook, index: number, { patterns }: Reading): Place | undefined {
  const { rows, names, targets } = look;
  const name = names[index];
  const at = index * statLength;
  if (name === undefined || rows[at + statField.mode] === 0) return undefined;
  const path = pathIn(folder, name);
  const state = patterns.enter(path, folder.state);
  const hostPath = asByteString(`${folder.entry.hostPath === '/' ? '' : folder.entry.hostPath}/${name}`);
  const entry = describeRow({ path, hostPath, rows, at, target: targets.get(index) });
  return placeOf(entry, { rows, at, state, isLeftOut: patterns.leavesOut(state) });
}

function pathIn(folder: Place, name: ByteString): ByteString {
  return folder.entry.path === '' ? name : asByteString(`${folder.entry.path}/${name}`);
}

/** Calls `work` with this very folder open, whatever was put in its place or above it meanwhile. */
function insideFolder<T>({ entry, isLeftOut }: Place, work: (inside: number) => T): T | undefined {
  let folder: number | undefined;
  try {
    folder = openSync(nodePath(entry.hostPath), openFolderFlags);
    const stats = fstatSync(folder, { bigint: true });
    if (Number(stats.ino) !== entry.inode || stats.dev !== entry.fileSystem) throw replaced(entry);
    return work(folder);
  } catch (error) {
    const code = systemCode(error);
    // EINVAL: what was a link is none any more.
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP' || code === 'EINVAL') throw replaced(entry, error);
    if (code !== 'EACCES' && code !== 'EPERM') throw error;
    if (isLeftOut) return undefined;
    throw notReadable(entry, error);
  } finally {
    if (folder !== undefined) closeSync(folder);
  }
}

const openFolderFlags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

function replaced(entry: TreeEntry, cause?: unknown): JettisonError {
  return entryChanged(entry, 'was replaced while the build context was read', cause);
}
