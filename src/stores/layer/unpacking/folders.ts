/**
 * Finds and makes the folders that entries of a layer lie in, as they are seen over the tree below: links of lower layers are followed
 * by their text inside the root, never by the kernel, and a folder that only lower layers have is made in this one as it is there.
 */
import { closeSync, constants, openSync } from 'node:fs';
import { asByteString, fromText, nodePath, type ByteString } from '#ground/base/byte-string.ts';
import { changeTimeAt, closeFile, makeFolderAt, procPath, unlinkAt } from '#ground/linux/syscall.ts';
import { isWhiteout } from '#stores/snapshot/whiteout.ts';
import { setTreeAttribute } from '#ground/linux/attributes.ts';
import type { Tree, TreeEntry } from '#ground/linux/tree.ts';
import { markOpaque, openChainTree } from '#stores/snapshot/chain-tree.ts';
import { recordOwners } from '#stores/snapshot/owners-file.ts';
import { badLayer } from './fail.ts';
import { inheritedAttribute, itself, lookIn, setMetadata, tryOpenFolder, type Metadata } from './inode.ts';

/** A folder of the merged tree. */
export type Place = {
  /** Its real path, '' for the root. */
  readonly path: ByteString;
  /** Open folder of this layer; undefined when only lower layers have it. */
  readonly file: number | undefined;
  /** Does what lower layers have in it show? */
  readonly showsBelow: () => boolean;
};
export type OpenPlace = Place & { readonly file: number };

/** The layers under this one: whoever asks for their folders (topmost first) may have to wait until they are complete. */
export type Below = { readonly isThere: boolean; readonly folders: () => readonly string[] };

export type Folders = {
  readonly root: OpenPlace;
  /** The folder at `path` (no `..` in it), made where it is missing; holds until the next call. */
  open(path: string, entry: ByteString): OpenPlace;
  /** The same for what will be put at `name` in it: folders found through what is there now are looked up again afterwards. */
  openFor(path: string, name: ByteString, entry: ByteString): OpenPlace;
  /** The folder at `path`; undefined when there is none. Leaves open what `open` gave. */
  find(path: string, entry: ByteString): Place | undefined;
  /** What lower layers show under this name. */
  below(place: Place, name: ByteString): TreeEntry | undefined;
  /** A new folder in `place`; where it takes the place of something else, it hides what lower layers have there. */
  make(place: OpenPlace, name: ByteString, how: { readonly metadata: Metadata; readonly replaces: boolean }): void;
  /** From now on the folder hides what lower layers have in it. */
  hideBelow(place: OpenPlace): void;
  /** What is set when nothing more is written into a folder. */
  later(path: ByteString, metadata: Metadata): void;
  finish(): void;
  close(): void;
};

type State = {
  /** What lies below. */
  readonly tree: () => Tree;
  readonly root: OpenPlace;
  /** By real path. */
  readonly open: Map<string, OpenPlace>;
  /** By path as entries say it. */
  readonly found: Map<string, OpenPlace>;
  /** Links of lower layers that led to folders in `found`. */
  readonly followed: Set<string>;
  readonly opaque: Set<string>;
  readonly pending: Map<ByteString, Metadata>;
};

const mostOpen = 256;
const mostLinks = 255;
const plainFolder: Metadata = { mode: 0o755, uid: 0, gid: 0, mtime: 0n, xattrs: new Map<string, Uint8Array>() };

/** `folder` is this layer's own, still empty. What lies below is only asked for where it counts: it may not be there yet. Close it when done. */
export function openFolders(folder: string, below: Below): Folders {
  const file = openSync(nodePath(fromText(folder)), constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  const root: OpenPlace = { path: asByteString(''), file, showsBelow: () => below.isThere };
  const recording = recordOwners(folder);
  let tree: Tree | undefined;
  const state: State = {
    tree: () => (tree ??= openChainTree(below.folders())),
    root,
    open: new Map(),
    found: new Map(),
    followed: new Set(),
    opaque: new Set(),
    pending: new Map(),
  };
  return {
    root,
    open: (path, entry) => openPlace(state, path, entry),
    openFor(path, name, entry) {
      const place = openPlace(state, path, entry);
      const target = inside(place.path, name);
      if (!state.open.has(target) && !state.followed.has(target)) return place;
      forget(state);
      return openPlace(state, path, entry);
    },
    find: (path, entry) => state.found.get(path) ?? walk(state, path, { entry, create: false }),
    below: (place, name) => (showsBelow(state, place) ? state.tree().entry(inside(place.path, name)) : undefined),
    make: (place, name, how) => makeFolder(state, place, { name, ...how }),
    hideBelow: (place) => hideBelow(state, place),
    later: (path, metadata) => void state.pending.set(path, metadata),
    finish: () => finish(state),
    close() {
      forget(state);
      recording[Symbol.dispose]();
      closeSync(file);
    },
  };
}

export function inside(folder: ByteString, name: string): ByteString {
  return asByteString(folder === '' ? name : `${folder}/${name}`);
}

/** The root's may be hidden after it was handed out. */
function showsBelow(state: State, place: Place): boolean {
  return !state.opaque.has(place.path) && place.showsBelow();
}

function openPlace(state: State, path: string, entry: ByteString): OpenPlace {
  const known = path === '' ? state.root : state.found.get(path);
  if (known) return known;
  if (state.open.size > mostOpen || state.found.size > 8 * mostOpen) forget(state);
  const place = walk(state, path, { entry, create: true });
  if (place?.file === undefined) throw badLayer('parent-not-folder', entry, 'has no folder to lie in');
  const open = { ...place, file: place.file };
  state.found.set(path, open);
  return open;
}

type Way = { readonly entry: ByteString; readonly create: boolean };

function walk(state: State, path: string, way: Way): Place | undefined {
  const rest = path.split('/').toReversed();
  const stack: Place[] = [];
  let links = 0;
  for (let name = rest.pop(); name !== undefined; name = rest.pop()) {
    if (name === '' || name === '.') continue;
    if (name === '..') {
      stack.pop();
      continue;
    }
    const next = step(state, stack.at(-1) ?? state.root, { ...way, name: asByteString(name) });
    if (next === undefined) return undefined;
    if (next.kind === 'folder') {
      stack.push(next.place);
      continue;
    }
    if (++links > mostLinks) throw badLayer('symlink-loop', way.entry, 'lies behind a loop of symbolic links');
    if (next.target.startsWith('/')) stack.length = 0;
    rest.push(...next.target.split('/').toReversed());
  }
  return stack.at(-1) ?? state.root;
}

type Step = { readonly kind: 'folder'; readonly place: Place } | { readonly kind: 'link'; readonly target: ByteString };

/** From a folder to one name in it. */
function step(state: State, from: Place, way: Way & { readonly name: ByteString }): Step | undefined {
  const path = inside(from.path, way.name);
  const known = state.open.get(path);
  if (known) return { kind: 'folder', place: known };
  const file = from.file === undefined ? undefined : tryOpenFolder(from.file, way.name);
  if (file !== undefined) return { kind: 'folder', place: remember(state, from, path, file) };
  const stats = from.file === undefined ? undefined : lookIn(from.file, way.name);
  if (!stats) return stepBelow(state, from, { ...way, path });
  if (stats.isSymbolicLink()) throw badLayer('through-own-link', way.entry, `lies behind the symbolic link "${path}" of the same layer`);
  if (from.file === undefined || !isWhiteout(stats, procPath(from.file, way.name)))
    throw badLayer('parent-not-folder', way.entry, `lies in "${path}", which is no folder`);
  if (!way.create) return undefined;
  return makeStep(state, from, { name: way.name, path, metadata: plainFolder, replaces: true });
}

/** Only lower layers can have the name. */
function stepBelow(state: State, from: Place, way: Way & { readonly name: ByteString; readonly path: ByteString }): Step | undefined {
  const { path, name } = way;
  const found = showsBelow(state, from) ? state.tree().entry(path) : undefined;
  if (!found) return way.create ? makeStep(state, from, { name, path, metadata: plainFolder, replaces: false }) : undefined;
  if (found.target !== undefined) {
    state.followed.add(path);
    return { kind: 'link', target: found.target };
  }
  if (found.kind !== 'folder') throw badLayer('parent-not-folder', way.entry, `lies in "${path}", which is no folder`);
  if (!way.create) return { kind: 'folder', place: { path, file: undefined, showsBelow: () => true } };
  return makeStep(state, from, { name, path, metadata: { ...found, xattrs: state.tree().xattrs(found) }, replaces: false });
}

type NewFolder = { readonly name: ByteString; readonly metadata: Metadata; readonly replaces: boolean };

function makeStep(state: State, from: Place, { path, ...folder }: NewFolder & { readonly path: ByteString }): Step | undefined {
  if (from.file === undefined) return undefined;
  if (folder.replaces) unlinkAt(from.file, folder.name);
  makeFolder(state, { ...from, file: from.file }, folder);
  const file = tryOpenFolder(from.file, folder.name);
  if (file === undefined) return undefined;
  return { kind: 'folder', place: remember(state, from, path, file) };
}

function makeFolder(state: State, place: OpenPlace, { name, metadata, replaces }: NewFolder): void {
  const path = inside(place.path, name);
  state.opaque.delete(path);
  makeFolderAt(place.file, name, 0o700);
  setMetadata(place.file, name, 'folder', metadata);
  state.pending.set(path, metadata);
  if (!replaces || !shows(state, place, path)) return;
  markOpaque(procPath(place.file, name));
  state.opaque.add(path);
}

/** Does a folder of this layer at `path` show a folder of the lower layers? */
function shows(state: State, from: Place, path: ByteString): boolean {
  return showsBelow(state, from) && !state.opaque.has(path) && state.tree().entry(path)?.kind === 'folder';
}

function hideBelow(state: State, place: OpenPlace): void {
  if (!showsBelow(state, place)) return;
  markOpaque(procPath(place.file, itself));
  state.opaque.add(place.path);
  forget(state);
}

function remember(state: State, from: Place, path: ByteString, file: number): OpenPlace {
  let known: boolean | undefined;
  const place: OpenPlace = { path, file, showsBelow: () => (known ??= shows(state, from, path)) };
  state.open.set(path, place);
  return place;
}

function forget(state: State): void {
  for (const place of state.open.values()) closeFile(place.file);
  state.open.clear();
  state.found.clear();
  state.followed.clear();
}

/** Times and inherited access lists, when nothing is made in a folder any more; folders that are gone again are left out. */
function finish(state: State): void {
  forget(state);
  for (const [path, metadata] of state.pending) {
    const file = tryOpenFolder(state.root.file, path);
    if (file === undefined) continue;
    try {
      const inherited = metadata.xattrs.get(inheritedAttribute);
      if (inherited) setTreeAttribute(procPath(file, itself), inheritedAttribute, inherited);
      changeTimeAt(file, itself, metadata.mtime);
    } finally {
      closeFile(file);
    }
  }
}
