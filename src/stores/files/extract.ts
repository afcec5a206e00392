/**
 * Files of a tar in a folder that others may be writing to, and whose names are a stranger's: each entry is made in an open folder by one name. As docker does, a folder takes the place of
 * nothing but a folder, and nothing else takes that of a folder.
 */
import { chmodSync, fchmodSync, ftruncateSync, writeSync } from 'node:fs';
import { asByteString, toText, type ByteString } from '#ground/base/byte-string.ts';
import { JettisonError, systemCode, unreachable } from '#ground/base/errors.ts';
import { setTreeAttribute, setTreeAttributeOf } from '#ground/linux/attributes.ts';
import { setOwner, setOwnerAt } from '#ground/linux/owner.ts';
import {
  changeModeAt,
  changeTimeAt,
  changeTimeOf,
  closeFile,
  fileTypes,
  linkAt,
  makeFolderAt,
  makeNodeAt,
  makeSymlinkAt,
  openAt,
  openFlags,
  procPath,
  resolveFlags,
  unlinkAt,
} from '#ground/linux/syscall.ts';
import { lookAt } from '#ground/linux/tree-read.ts';
import type { TarEntry } from '#formats/tar/entry.ts';
import { createTarReader, type TarHandlers } from '#formats/tar/read.ts';
import { belongsToLayer } from '#stores/layer/attributes.ts';
import { makeDeviceAt, whyNoDevice } from '#stores/layer/devices.ts';
import { permitted } from './permitted.ts';
import { openFolderIn, openInner, type FilesRoot } from './root.ts';

export type Extraction = {
  /** What links lead within. */
  readonly root: FilesRoot;
  /** From the root, names with `/` between them: an existing folder. */
  readonly folder: ByteString;
  /** `keep`: as in the archive; `own`: of this process, attributes that only root may set left out. */
  readonly owner: 'keep' | 'own' | { readonly uid: number; readonly gid: number };
  /** May links that were there before lead to folders of entries? Else each must be a real one, below `folder`. */
  readonly followsLinks: boolean;
};

export type OpenExtraction = Disposable & {
  /** Takes the next bytes of the tar, and makes what they say before it returns. Throws `files/other-kind`, `files/bad-entry`, `files/made-up`, `files/not-permitted`, and what reading a tar throws. */
  push(chunk: Uint8Array): void;
  /** There are no more bytes: what is set when nothing is written any more. Gives the bytes of all files. */
  finish(): number;
};

type OpenFolder = Disposable & { readonly file: number };
type Place = { readonly folder: OpenFolder; readonly name: ByteString; readonly path: ByteString };
type State = Extraction & {
  entry: TarEntry | undefined;
  open: { readonly file: number; readonly place: Place } | undefined;
  /** The folder of the last entry: most lie beside each other. */
  last: { readonly path: string; readonly folder: OpenFolder } | undefined;
  readonly folders: Map<ByteString, TarEntry>;
  bytes: number;
};

const oneName = resolveFlags.beneath | resolveFlags.noSymlinks | resolveFlags.noMagicLinks;
const hole = new Uint8Array(64 << 10);

/** Nothing is made before the first byte. What was made stays when it is disposed before its end. */
export function openExtraction(extraction: Extraction): OpenExtraction {
  const state: State = { ...extraction, entry: undefined, open: undefined, last: undefined, folders: new Map(), bytes: 0 };
  const handlers: TarHandlers = {
    entry(entry) {
      state.entry = entry;
      state.bytes += entry.size;
      permitted('write', shownPath(state, entry.name), () => place(state, entry));
    },
    data(bytes, offset) {
      if (state.open !== undefined) writeSparse(state.open, bytes, offset);
    },
    entryEnd: () => endFile(state),
  };
  const reader = createTarReader(handlers, { endMarker: 'optional' });
  return {
    push: (chunk) => reader.push(chunk),
    finish() {
      reader.finish();
      setTimes(state);
      return state.bytes;
    },
    [Symbol.dispose]() {
      if (state.open !== undefined) closeFile(state.open.file);
      state.open = undefined;
      state.last?.folder[Symbol.dispose]();
      state.last = undefined;
    },
  };
}

/** Zeros become holes. */
function writeSparse(open: NonNullable<State['open']>, bytes: Uint8Array, offset: number): void {
  for (let at = 0; at < bytes.length;) {
    const part = bytes.subarray(at, Math.min(at + hole.length, bytes.length));
    if (!isZero(part))
      for (let done = 0; done < part.length;) done += writeSync(open.file, part, done, part.length - done, offset + at + done);
    at += part.length;
  }
}

function isZero(part: Uint8Array): boolean {
  // oxlint-disable-next-line no-restricted-globals
  return part[0] === 0 && part.length >= 4096 && Buffer.compare(part, hole.subarray(0, part.length)) === 0;
}

function place(state: State, entry: TarEntry): void {
  const parts = partsOf(entry, entry.name);
  const name = parts.pop();
  // The folder itself: it is there, and stays as it is.
  if (name === undefined) return;
  const found: Place = {
    folder: openParent(state, parts, entry),
    name: asByteString(name),
    path: asByteString([...parts, name].join('/')),
  };
  const there = lookAt(procPath(found.folder.file, found.name));
  const isFolder = entry.kind === 'folder';
  if (there !== undefined && there.isDirectory() !== isFolder) throw cannotOverwrite(state, found, isFolder);
  if (there !== undefined && !isFolder) unlinkAt(found.folder.file, found.name);
  try {
    make(state, found, entry);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') throw takesNothing(state, found, error);
    throw error;
  }
}

/** Folders of `/proc` say that the name is not there, whatever is to be made. */
function takesNothing(state: State, { path }: Place, cause: unknown): JettisonError {
  return new JettisonError('files/made-up', `Cannot write "${toText(shownPath(state, path))}": its folder takes no new files`, {
    fault: 'environment',
    hint: 'What the kernel makes up (/proc, /sys) stays as it is; it may also have been removed meanwhile',
    cause,
  });
}

function make(state: State, found: Place, entry: TarEntry): void {
  const { folder, name } = found;
  switch (entry.kind) {
    case 'folder':
      return makeFolder(state, found, entry);
    case 'file': {
      const flags = openFlags.writeOnly | openFlags.create | openFlags.exclusive | openFlags.noFollow;
      state.open = { file: openAt(folder.file, name, { flags, mode: 0o600, resolve: oneName }), place: found };
      return;
    }
    case 'symlink':
      makeSymlinkAt(entry.linkName, folder.file, name);
      return dress(state, found, entry);
    case 'hard-link': {
      const parts = partsOf(entry, entry.linkName);
      const target = parts.pop();
      if (target === undefined) throw bad(entry, 'is a hard link to nothing');
      using from = openParentAnew(state, parts, entry);
      return linkAt(from.file, asByteString(target), folder.file, name);
    }
    case 'fifo':
      makeNodeAt(folder.file, name, { type: fileTypes.fifo, mode: 0o600 });
      return dress(state, found, entry);
    case 'character-device':
    case 'block-device': {
      const why = whyNoDevice(found.path, entry);
      if (why !== undefined) throw bad(entry, why);
      makeDeviceAt(folder.file, name, entry.device ?? { major: 0, minor: 0 });
      return dress(state, found, entry);
    }
    default:
      return unreachable(entry.kind, 'kind of tar entry');
  }
}

function makeFolder(state: State, { folder, name, path }: Place, entry: TarEntry): void {
  try {
    makeFolderAt(folder.file, name, 0o700);
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
  }
  using own = openInner(folder.file, name);
  if (own === undefined) throw bad(entry, 'is no folder any more');
  setOwnerOf(state, own.file, asByteString(''), entry);
  changeModeAt(own.file, asByteString('.'), entry.mode);
  setAttributes(state, procPath(own.file, '.'), entry);
  state.folders.set(path, entry);
}

/** Owner, then mode (a new owner takes setuid bits away), then attributes, then time. */
function dress(state: State, { folder, name }: Place, entry: TarEntry): void {
  setOwnerOf(state, folder.file, name, entry);
  if (entry.kind !== 'symlink') changeModeOfNode(folder.file, name, entry.mode);
  setAttributes(state, procPath(folder.file, name), entry);
  changeTimeAt(folder.file, name, entry.mtime);
}

/** chmod(2) follows links, and somebody may have put one there since the node was made: what is opened is the name itself. */
function changeModeOfNode(folder: number, name: ByteString, mode: number): void {
  const file = openAt(folder, name, { flags: openFlags.path | openFlags.noFollow, resolve: oneName });
  try {
    chmodSync(`/proc/self/fd/${file}`, mode);
  } finally {
    closeFile(file);
  }
}

function endFile(state: State): void {
  const { open, entry } = state;
  if (open === undefined || entry === undefined) return;
  state.open = undefined;
  try {
    ftruncateSync(open.file, entry.size);
    if (state.owner !== 'own') {
      const { uid, gid } = state.owner === 'keep' ? entry : state.owner;
      setOwner(open.file, uid, gid);
    }
    fchmodSync(open.file, entry.mode);
    for (const [name, value] of attributesFor(state, entry)) setTreeAttributeOf(open.file, name, value);
    changeTimeOf(open.file, entry.mtime);
  } finally {
    closeFile(open.file);
  }
}

function setOwnerOf(state: State, at: number, name: ByteString, entry: TarEntry): void {
  if (state.owner === 'own') return;
  const { uid, gid } = state.owner === 'keep' ? entry : state.owner;
  setOwnerAt(at, name, uid, gid);
}

/** Of the path itself: a link there is not followed. */
function setAttributes(state: State, path: ByteString, entry: TarEntry): void {
  for (const [name, value] of attributesFor(state, entry)) setTreeAttribute(path, name, value);
}

function attributesFor({ owner }: State, { xattrs }: TarEntry): readonly (readonly [name: string, value: Uint8Array])[] {
  return [...xattrs].filter(([name]) => belongsToLayer(name) && (owner !== 'own' || name.startsWith('user.')));
}

/** In reverse: what is in a folder comes before it. */
function setTimes(state: State): void {
  for (const [path, entry] of [...state.folders].toReversed()) {
    using folder = openFolder(state, path);
    if (folder !== undefined) changeTimeAt(folder.file, asByteString('.'), entry.mtime);
  }
}

function partsOf(entry: TarEntry, path: ByteString): string[] {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) throw bad(entry, `leads out of its folder with ".."`);
  return parts;
}

function openParent(state: State, parts: readonly string[], entry: TarEntry): OpenFolder {
  const path = parts.join('/');
  if (state.last?.path === path) return state.last.folder;
  const folder = openParentAnew(state, parts, entry);
  state.last?.folder[Symbol.dispose]();
  state.last = { path, folder };
  return folder;
}

function openParentAnew(state: State, parts: readonly string[], entry: TarEntry): OpenFolder {
  const found = openFolder(state, asByteString(parts.join('/'))) ?? makeParents(state, parts);
  if (found === undefined) throw bad(entry, 'lies in something that is no folder');
  return found;
}

function openFolder(state: State, path: ByteString): OpenFolder | undefined {
  if (state.followsLinks || path === '')
    return openFolderIn(state.root, asByteString(path === '' ? state.folder : `${state.folder}/${path}`));
  using top = openFolderIn(state.root, state.folder);
  return top && openInner(top.file, path);
}

/** Folders that the archive itself does not have. */
function makeParents(state: State, parts: readonly string[]): OpenFolder | undefined {
  for (let count = 1; count <= parts.length; count++) {
    using above = openFolder(state, asByteString(parts.slice(0, count - 1).join('/')));
    const name = asByteString(parts[count - 1] ?? '');
    if (above === undefined) return undefined;
    if (lookAt(procPath(above.file, name)) !== undefined) continue;
    makeFolderAt(above.file, name, 0o755);
    if (state.owner !== 'own') setOwnerAt(above.file, name, 0, 0);
  }
  return openFolder(state, asByteString(parts.join('/')));
}

/** As it is called from the root on. */
function shownPath({ folder }: State, path: ByteString): ByteString {
  return asByteString(`/${folder}/${path}`.replaceAll(/\/+/gu, '/'));
}

/** docker's words. */
function cannotOverwrite(state: State, { path }: Place, isFolder: boolean): JettisonError {
  const [there, comes] = isFolder ? ['non-directory', 'directory'] : ['directory', 'non-directory'];
  const shown = toText(shownPath(state, path));
  return new JettisonError('files/other-kind', `cannot overwrite ${there} "${shown}" with ${comes} "${toText(path)}"`, {
    hint: 'Remove it first, or copy to another name',
  });
}

function bad(entry: TarEntry, why: string): JettisonError {
  return new JettisonError('files/bad-entry', `"${toText(entry.name)}" cannot be copied: it ${why}`, {
    hint: 'What was copied before it stays',
  });
}
