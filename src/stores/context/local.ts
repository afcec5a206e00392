/** A build context that is a folder of the client, ignored paths left out. Nothing is read before it is asked for; what was read is kept, so one context object shows one state. */
import { closeSync, constants, fstatSync, openSync, readdirSync, realpathSync } from 'node:fs';
import { asByteString, fromText, nodePath, type ByteString } from '#ground/base/byte-string.ts';
import { JettisonError, systemCode } from '#ground/base/errors.ts';
import { parsePatterns, type PatternSet, type PatternState } from '#ground/base/patterns.ts';
import { describeEntry, entryChanged, lookAt, readEntryFile, resolveLinks } from '#ground/linux/tree-read.ts';
import type { Tree, TreeEntry } from '#ground/linux/tree.ts';
import { notReadable } from './errors.ts';

export type LocalContext = Tree & {
  /** The folder's real path. */
  readonly folder: ByteString;
};

/**
 * Opens the folder (links in its own path are followed) with `ignore` patterns as `parsePatterns` takes them. A folder that is left out
 * still shows where something below it is kept by a `!` pattern, with just that in it. Inside, no link is ever followed by the kernel: each folder is opened by
 * itself and must be the inode that was seen in the folder above it, else `linux/changed`.
 * Extended attributes are not read: every entry has none.
 * Throws `context/not-found`, `context/not-a-folder`, `base/bad-pattern`; reading throws `context/no-permission`.
 */
export function openLocalContext(options: { readonly folder: string; readonly ignore: readonly string[] }): LocalContext {
  const patterns = parsePatterns(options.ignore);
  const root = openRoot(options.folder, patterns);
  const entry = (path: ByteString): TreeEntry | undefined => {
    const place = findPlace(root, path, patterns);
    return place !== undefined && isShown(place, patterns) ? place.entry : undefined;
  };
  return {
    folder: root.entry.hostPath,
    entry,
    resolve: (path, followLast) => resolveLinks(entry, path, followLast),
    list(path) {
      const place = findPlace(root, path, patterns);
      return place === undefined ? [] : listShown(place, patterns);
    },
    readFile: readEntryFile,
    xattrs: () => new Map(),
  };
}

/** What is known of one inode of the folder. */
type Place = {
  readonly entry: TreeEntry;
  readonly state: PatternState;
  readonly isLeftOut: boolean;
  /** Entries looked up so far; all that may be shown, in byte order, once `isListed`. */
  readonly children: Map<string, Place | undefined>;
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
  const entry = describeEntry({ path: fromText(''), hostPath, layer: 0, stats, live: { readAt: hostPath } });
  return { entry, state: patterns.start, isLeftOut: false, children: new Map(), isListed: false, shown: undefined };
}

function realPathOf(folder: string): ByteString {
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

function findPlace(root: Place, path: ByteString, patterns: PatternSet): Place | undefined {
  if (path === '') return root;
  let place: Place | undefined = root;
  for (const name of path.split('/')) {
    if (place?.entry.kind !== 'folder') return undefined;
    place = childOf(place, name, patterns);
  }
  return place;
}

function childOf(folder: Place, name: string, patterns: PatternSet): Place | undefined {
  if (folder.isListed || folder.children.has(name)) return folder.children.get(name);
  if (name === '' || name === '.' || name === '..' || name.includes('\0')) return undefined;
  const child = insideFolder(folder, (inside) => placeOf(folder, name, { inside, patterns }));
  folder.children.set(name, child);
  return child;
}

function isShown(place: Place, patterns: PatternSet): boolean {
  return !place.isLeftOut || listShown(place, patterns).length > 0;
}

function listShown(place: Place, patterns: PatternSet): readonly TreeEntry[] {
  if (place.entry.kind !== 'folder') return [];
  if (!place.isListed) readFolder(place, patterns);
  place.shown ??= [...place.children.values()].flatMap((child) => (child !== undefined && isShown(child, patterns) ? [child.entry] : []));
  return place.shown;
}

function readFolder(folder: Place, patterns: PatternSet): void {
  const before = new Map(folder.children);
  insideFolder(folder, (inside) => {
    folder.children.clear();
    for (const name of readdirSync(inside, 'latin1').toSorted(byByte)) {
      folder.children.set(name, before.get(name) ?? placeOf(folder, name, { inside, patterns }));
    }
  });
  folder.isListed = true;
}

/** An entry of a folder that is open as `inside`; undefined when it is not there, or is left out with all that may be below it. */
function placeOf(
  folder: Place,
  name: string,
  { inside, patterns }: { readonly inside: string; readonly patterns: PatternSet },
): Place | undefined {
  const path = asByteString(folder.entry.path === '' ? name : `${folder.entry.path}/${name}`);
  const state = patterns.enter(path, folder.state);
  const isLeftOut = patterns.leavesOut(state);
  if (isLeftOut && !patterns.mayKeepBelow(path)) return undefined;
  const readAt = asByteString(`${inside}/${name}`);
  const stats = lookAt(readAt);
  if (stats === undefined || (isLeftOut && !stats.isDirectory())) return undefined;
  const hostPath = asByteString(`${folder.entry.hostPath === '/' ? '' : folder.entry.hostPath}/${name}`);
  const entry = describeEntry({ path, hostPath, layer: 0, stats, live: { readAt } });
  return { entry, state, isLeftOut, children: entry.kind === 'folder' ? new Map() : noChildren, isListed: false, shown: undefined };
}

/** Calls `work` with a path that leads into this very folder, whatever was put in its place or above it meanwhile. */
function insideFolder<T>({ entry, isLeftOut }: Place, work: (inside: string) => T): T | undefined {
  let folder: number | undefined;
  try {
    folder = openSync(nodePath(entry.hostPath), openFolderFlags);
    const stats = fstatSync(folder, { bigint: true });
    if (Number(stats.ino) !== entry.inode || stats.dev !== entry.fileSystem) throw replaced(entry);
    return work(`/proc/self/fd/${folder}`);
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP') throw replaced(entry, error);
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

function byByte(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
