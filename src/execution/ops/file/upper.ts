/**
 * The folder of an active snapshot, seen merged with the chain it stands on and written in overlayfs's form without a mount: what only
 * the chain has is copied up before it is written into, and a folder that takes the place of something else is made opaque.
 * Every path is resolved inside the root; each folder on the way is a real one, because only this process writes here.
 */
import { readdirSync } from 'node:fs';
import { asByteString, fromText, toText, type ByteString } from '#ground/base/byte-string.ts';
import { JettisonError } from '#ground/base/errors.ts';
import {
  AT_FDCWD,
  changeModeAt,
  changeTimeAt,
  closeFile,
  makeFolderAt,
  openAt,
  openFlags,
  procPath,
  removeFolderAt,
  resolveFlags,
  unlinkAt,
} from '#ground/linux/syscall.ts';
import { setTreeAttribute } from '#ground/linux/attributes.ts';
import { setOwnerAt } from '#ground/linux/owner.ts';
import { describeEntry, lookAt, resolveLinks } from '#ground/linux/tree-read.ts';
import type { Tree, TreeEntry } from '#ground/linux/tree.ts';
import { isOpaque, markOpaque } from '#stores/snapshot/chain-tree.ts';
import { isWhiteout } from '#stores/snapshot/whiteout.ts';
import { recordOwners, recordedOwners } from '#stores/snapshot/owners-file.ts';

/** What a folder gets that is made on the way to a destination. */
/** `time`: nanoseconds since 1970; without it, the clock's. */
export type Made = { readonly mode: number; readonly uid: number; readonly gid: number; readonly time?: bigint };

export type OpenFolder = Disposable & {
  readonly path: ByteString;
  /** File descriptor. */
  readonly file: number;
  /** Nothing was there before: whatever is inside was put there through this value. */
  readonly isNew: boolean;
};

export type Upper = Disposable & {
  /** File descriptor of the upper folder itself. */
  readonly file: number;
  /** As of now, `layer` 0 for what lies in the upper folder. */
  entry(path: ByteString): TreeEntry | undefined;
  resolve(path: ByteString, followLast: boolean): { readonly path: ByteString; readonly entry: TreeEntry | undefined };
  /** Makes a folder and those above it, following links; gives the real path. Throws `ops/not-a-folder` when something else is in the way. */
  makeFolders(path: ByteString, made: Made): ByteString;
  /** Opens an existing folder (a real path) to write into it, copied up when it is not in the upper folder yet. */
  openFolder(path: ByteString): OpenFolder;
  /** A new folder where nothing is to be seen; mode 0700, for the caller to set. */
  makeFolder(parent: OpenFolder, name: ByteString): OpenFolder;
  /** Takes away what the upper folder itself holds at a name, so that something new can be made there. */
  clear(parent: OpenFolder, name: ByteString): void;
  /** Something that stood in the upper folder has been taken away. */
  hasCleared(): boolean;
  /** A folder that `makeFolders` made with a time gets another one. */
  dateFolder(path: ByteString, time: bigint): void;
  /** The time that `finish` gives a folder; undefined for one that keeps what it has. */
  timeToRestore(path: ByteString): bigint | undefined;
  /** Gives folders that were only copied up their times back, and those that were made with a time that. Last. */
  finish(): void;
};

type State = { readonly inUpper: boolean; readonly baseVisible: boolean };

const beneath = resolveFlags.beneath | resolveFlags.noSymlinks;

/** `folder`: absolute path of the upper folder; `base`: the tree of the chain below it. */
export function openUpper(folder: string, base: Tree): Upper {
  const hostRoot = fromText(folder);
  const root = openAt(AT_FDCWD, hostRoot, { flags: openFlags.directory, resolve: 0 });
  const recording = recordOwners(folder);
  const owned = recordedOwners(folder);
  const states = new Map<string, State | undefined>([['', { inUpper: true, baseVisible: true }]]);
  const copiedUp = new Map<ByteString, bigint>();
  const dated = new Map<ByteString, bigint>();
  let hasCleared = false;

  const hostPath = (path: ByteString): ByteString => asByteString(path === '' ? hostRoot : `${hostRoot}/${path}`);
  const entry = (path: ByteString): TreeEntry | undefined => {
    const parent = path === '' ? { inUpper: true, baseVisible: false } : stateOf(parentOf(path));
    if (!parent || (path !== '' && !isName(nameOf(path)))) return undefined;
    const stats = parent.inUpper ? lookAt(hostPath(path)) : undefined;
    if (stats && isWhiteout(stats, hostPath(path))) return undefined;
    if (stats) return owned(describeEntry({ path, hostPath: hostPath(path), layer: 0, stats }));
    const below = parent.baseVisible ? base.entry(path) : undefined;
    return below && { ...below, layer: below.layer + 1 };
  };
  const stateOf = (path: ByteString): State | undefined => {
    if (states.has(path)) return states.get(path);
    const found = entry(path);
    const state = found?.kind === 'folder' ? folderState(path, found) : undefined;
    states.set(path, state);
    return state;
  };
  const folderState = (path: ByteString, found: TreeEntry): State => {
    const inUpper = found.layer === 0;
    const hidden = stateOf(parentOf(path))?.baseVisible !== true || (inUpper && isOpaque(hostPath(path)));
    return { inUpper, baseVisible: !hidden && base.entry(path)?.kind === 'folder' };
  };
  const open = (path: ByteString): number => openAt(root, path === '' ? '.' : path, { flags: openFlags.directory, resolve: beneath });
  const folderAt = (path: ByteString, isNew: boolean): OpenFolder => {
    const file = open(path);
    return { path, file, isNew, [Symbol.dispose]: () => closeFile(file) };
  };

  const copyUp = (path: ByteString): void => {
    const state = stateOf(path);
    const found = entry(path);
    if (!state || !found)
      throw new JettisonError('ops/not-a-folder', `"/${toText(path)}" is not a directory`, { hint: 'Name another destination' });
    if (state.inUpper) return;
    copyUp(parentOf(path));
    const parent = open(parentOf(path));
    try {
      makeFolderAt(parent, nameOf(path), 0o700);
      setOwnerAt(parent, nameOf(path), found.uid, found.gid);
      changeModeAt(parent, nameOf(path), found.mode);
      for (const [name, value] of base.xattrs(found)) setTreeAttribute(procPath(parent, nameOf(path)), name, value);
    } finally {
      closeFile(parent);
    }
    states.set(path, { ...state, inUpper: true });
    copiedUp.set(path, found.mtime);
  };
  const makeFolder = (parent: OpenFolder, name: ByteString): OpenFolder => {
    const path = joinPath(parent.path, name);
    clear(parent, name);
    makeFolderAt(parent.file, name, 0o700);
    // A folder of the chain that was hidden until now would show through the new one.
    const hides = stateOf(parent.path)?.baseVisible === true && base.entry(path)?.kind === 'folder';
    if (hides) markOpaque(procPath(parent.file, name));
    states.set(path, { inUpper: true, baseVisible: false });
    return folderAt(path, true);
  };
  const clear = (parent: OpenFolder, name: ByteString): void => {
    if (parent.isNew || !lookAt(hostPath(joinPath(parent.path, name)))) return;
    const path = joinPath(parent.path, name);
    hasCleared = true;
    removeTree(parent.file, name, hostPath(path));
    for (const known of states.keys()) if (known === path || known.startsWith(`${path}/`)) states.delete(known);
    for (const times of [copiedUp, dated])
      for (const known of times.keys()) if (known === path || known.startsWith(`${path}/`)) times.delete(known);
  };

  return {
    file: root,
    entry,
    resolve: (path, followLast) => resolveLinks(entry, path, followLast),
    makeFolders(path, made) {
      const real = resolveLinks(entry, path, true).path;
      const missing: ByteString[] = [];
      let existing = real;
      for (; existing !== '' && !entry(existing); existing = parentOf(existing)) missing.push(existing);
      if (entry(existing)?.kind !== 'folder') throw notAFolder(path, existing);
      for (const folderPath of missing.toReversed()) {
        copyUp(parentOf(folderPath));
        using parent = folderAt(parentOf(folderPath), false);
        using folderMade = makeFolder(parent, nameOf(folderPath));
        setOwnerAt(folderMade.file, asByteString(''), made.uid, made.gid);
        changeModeAt(folderMade.file, asByteString('.'), made.mode);
        if (made.time !== undefined) dated.set(folderPath, made.time);
      }
      return real;
    },
    openFolder(path) {
      copyUp(path);
      return folderAt(path, false);
    },
    makeFolder,
    clear,
    hasCleared: () => hasCleared,
    dateFolder(path, time) {
      if (dated.has(path)) dated.set(path, time);
    },
    timeToRestore: (path) => copiedUp.get(path) ?? dated.get(path),
    finish() {
      const deepestFirst = [...dated, ...copiedUp].toSorted(([a], [b]) => (a < b ? 1 : -1));
      for (const [path, mtime] of deepestFirst) changeTimeAt(root, path, mtime);
    },
    [Symbol.dispose]() {
      recording[Symbol.dispose]();
      closeFile(root);
    },
  };
}

function removeTree(parent: number, name: ByteString, hostPath: ByteString): void {
  const stats = lookAt(hostPath);
  if (!stats) return;
  if (!stats.isDirectory()) {
    unlinkAt(parent, name);
    return;
  }
  const folder = openAt(parent, name, { flags: openFlags.directory, resolve: beneath });
  try {
    for (const child of readNames(folder)) removeTree(folder, child, joinPath(hostPath, child));
  } finally {
    closeFile(folder);
  }
  removeFolderAt(parent, name);
}

function readNames(folder: number): readonly ByteString[] {
  return readdirSync(procPath(folder, ''), 'latin1').map(asByteString);
}

function notAFolder(path: ByteString, inTheWay: ByteString): JettisonError {
  return new JettisonError(
    'ops/not-a-folder',
    `Cannot make folder "/${toText(path).replace(/^\/+/u, '')}": "/${toText(inTheWay)}" is not a directory`,
    {
      hint: 'Something else is at this path of the image: choose another one, or remove it in an earlier step',
    },
  );
}

function isName(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..';
}

export function parentOf(path: ByteString): ByteString {
  return asByteString(path.slice(0, Math.max(path.lastIndexOf('/'), 0)));
}

export function nameOf(path: ByteString): ByteString {
  return asByteString(path.slice(path.lastIndexOf('/') + 1));
}

export function joinPath(folder: ByteString, name: ByteString): ByteString {
  return folder === '' ? name : asByteString(`${folder}/${name}`);
}
