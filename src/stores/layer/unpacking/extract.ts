/**
 * Makes the files of a layer in a snapshot's folder, one entry after the other, as docker does: a later entry takes the place of an
 * earlier one, a folder over a folder keeps what is in it. Names from the archive are split into components and walked by open folders;
 * no path of the archive ever reaches the kernel whole.
 */
import { fchmodSync, ftruncateSync, writeSync } from 'node:fs';
import { asByteString, type ByteString } from '#ground/base/byte-string.ts';
import { systemCode, unreachable } from '#ground/base/errors.ts';
import {
  AT_FDCWD,
  changeTimeAt,
  closeFile,
  fileTypes,
  linkAt,
  makeNodeAt,
  makeSymlinkAt,
  procPath,
  unlinkAt,
} from '#ground/linux/syscall.ts';
import { isWhiteout, makeWhiteoutAt } from '#stores/snapshot/whiteout.ts';
import { setTreeAttribute } from '#ground/linux/attributes.ts';
import { setOwner, setOwnerAt, type Owner } from '#ground/linux/owner.ts';
import { ownRights } from '#ground/linux/own-rights.ts';
import type { TarEntry } from '#formats/tar/entry.ts';
import type { TarHandlers } from '#formats/tar/read.ts';
import { belongsToLayer } from '../attributes.ts';
import { makeDeviceAt, whyNoDevice } from '../devices.ts';
import type { LayerLimits } from '../jobs.ts';
import { metadataPrefix, opaqueMark, whiteoutPrefix } from '../whiteout.ts';
import { badLayer } from './fail.ts';
import { inside, openFolders, type Below, type Folders, type OpenPlace, type Place } from './folders.ts';
import { createFile, itself, lookIn, removeOtherAttributes, removeTree, setMetadata } from './inode.ts';

export type Extractor = TarHandlers &
  Disposable & {
    /** After the last entry: what is set when nothing is written any more. */
    finish(): void;
    /** Name of the entry at hand. */
    name(): ByteString;
    /** Was there an entry for the root? */
    ownRoot(): boolean;
  };

type State = {
  readonly folders: Folders;
  readonly limits: LayerLimits;
  entry: TarEntry | undefined;
  entries: number;
  size: number;
  ownRoot: boolean;
  /** Being written: closed at its end. */
  file: { readonly file: number; readonly place: OpenPlace; readonly name: ByteString; written: number } | undefined;
};

/** Where an entry goes: its folder by the archive's words, and its name there; '' for the root. */
type Target = { readonly parent: string; readonly name: ByteString };

export function createExtractor(folder: string, below: Below, limits: LayerLimits): Extractor {
  const folders = openFolders(folder, below);
  const state: State = { folders, limits, entry: undefined, entries: 0, size: 0, ownRoot: false, file: undefined };
  return {
    entry(entry) {
      state.entry = entry;
      unpackEntry(state, entry);
    },
    data(bytes, offset) {
      if (!state.file) return;
      for (let at = 0; at < bytes.length;) at += writeSync(state.file.file, bytes, at, bytes.length - at, offset + at);
      state.file.written = offset + bytes.length;
    },
    entryEnd: () => endFile(state),
    finish: () => state.folders.finish(),
    name: () => state.entry?.name ?? asByteString(''),
    ownRoot: () => state.ownRoot,
    [Symbol.dispose]() {
      if (state.file) closeFile(state.file.file);
      state.folders.close();
    },
  };
}

function unpackEntry(state: State, entry: TarEntry): void {
  const target = targetOf(entry);
  countEntry(state, entry);
  if (isMetadata(target)) return;
  if (target.name === '') placeRoot(state, entry);
  else if (target.name === opaqueMark) placeOpaque(state, target, entry);
  else if (target.name.startsWith(whiteoutPrefix)) placeWhiteout(state, target, entry);
  else placeEntry(state, target, entry);
}

function countEntry(state: State, entry: TarEntry): void {
  state.entries++;
  state.size += entry.size;
  if (state.entries > state.limits.entries)
    throw badLayer('too-large', entry.name, `is one more than the ${state.limits.entries} entries that are taken`);
  if (state.size > state.limits.size) throw badLayer('too-large', entry.name, `brings the files to more than ${state.limits.size} bytes`);
}

/** Throws `layer/path-escape` for `..`, `layer/reserved-name` for a folder named like a whiteout. */
function targetOf(entry: TarEntry): Target {
  const parts = componentsOf(entry.name, entry);
  const name = parts.pop() ?? '';
  const reserved = parts.find((part) => part.startsWith(whiteoutPrefix) && !part.startsWith(metadataPrefix));
  if (reserved !== undefined) throw badLayer('reserved-name', entry.name, `lies in a folder named like a deletion, "${reserved}"`);
  return { parent: parts.join('/'), name: asByteString(name) };
}

function componentsOf(path: ByteString, entry: TarEntry): string[] {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) throw badLayer('path-escape', entry.name, 'has ".." in its path');
  return parts;
}

/** What aufs kept for itself means nothing. */
function isMetadata({ parent, name }: Target): boolean {
  return (name.startsWith(metadataPrefix) && name !== opaqueMark) || parent.split('/').some((part) => part.startsWith(metadataPrefix));
}

function placeRoot(state: State, entry: TarEntry): void {
  const { folders } = state;
  state.ownRoot = true;
  if (entry.kind !== 'folder') throw badLayer('root-not-folder', entry.name, 'would make the root something else than a folder');
  removeOtherAttributes(folders.root.file, itself, entry.xattrs);
  setMetadata(folders.root.file, itself, 'folder', entry);
  folders.later(folders.root.path, entry);
}

function placeOpaque({ folders }: State, target: Target, entry: TarEntry): void {
  const found = folders.find(target.parent, entry.name);
  if (found?.showsBelow() === true) folders.hideBelow(folders.open(target.parent, entry.name));
}

/** Hides what lower layers have under the name; what this layer has there stays (image spec, layer.md). */
function placeWhiteout({ folders }: State, target: Target, entry: TarEntry): void {
  const name = asByteString(target.name.slice(whiteoutPrefix.length));
  if (name === '' || name === '.' || name === '..') throw badLayer('bad-whiteout', entry.name, 'deletes nothing that can be');
  const found = folders.find(target.parent, entry.name);
  const hidden = found && folders.below(found, name);
  if (!hidden) return;
  const place = folders.openFor(target.parent, name, entry.name);
  const stats = lookIn(place.file, name);
  if (!stats) makeWhiteoutAt(place.file, name);
  else if (stats.isDirectory()) folders.hideBelow(folders.open(inside(asByteString(target.parent), name), entry.name));
}

function placeEntry(state: State, target: Target, entry: TarEntry): void {
  const { folders } = state;
  const { name } = target;
  const place = folders.openFor(target.parent, name, entry.name);
  switch (entry.kind) {
    case 'file':
      state.file = { file: replacing(place, name, () => createFile(place.file, name)), place, name, written: 0 };
      return;
    case 'folder':
      return placeFolder(folders, { place, name, entry });
    case 'symlink':
      if (entry.linkName === '') throw badLayer('bad-link', entry.name, 'is a symbolic link to nothing');
      replacing(place, name, () => makeSymlinkAt(entry.linkName, place.file, name));
      return setMetadata(place.file, name, 'symlink', entry);
    case 'hard-link':
      return placeHardLink(folders, { place, name, entry });
    case 'fifo':
      return placeNode({ place, name, entry }, () => makeNodeAt(place.file, name, { type: fileTypes.fifo, mode: 0o600 }));
    case 'character-device':
    case 'block-device':
      return placeDevice({ place, name, entry });
    default:
      return unreachable(entry.kind, 'kind of tar entry');
  }
}

/** Makes something under a name; what has the name goes first. */
function replacing<T>(place: OpenPlace, name: ByteString, make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
  }
  if (lookIn(place.file, name)?.isDirectory()) removeTree(place.file, name);
  else unlinkAt(place.file, name);
  return make();
}

type Goal = { readonly place: OpenPlace; readonly name: ByteString; readonly entry: TarEntry };

function placeFolder(folders: Folders, { place, name, entry }: Goal): void {
  const stats = lookIn(place.file, name);
  if (stats?.isDirectory()) {
    removeOtherAttributes(place.file, name, entry.xattrs);
    setMetadata(place.file, name, 'folder', entry);
    folders.later(inside(place.path, name), entry);
    return;
  }
  if (stats) unlinkAt(place.file, name);
  folders.make(place, name, { metadata: entry, replaces: stats !== undefined });
}

/** The target must be there: in this layer, or in a lower one, whose inode gets a further name here (committed files never change). */
function placeHardLink(folders: Folders, { place, name, entry }: Goal): void {
  const parts = componentsOf(entry.linkName, entry);
  const targetName = asByteString(parts.pop() ?? '');
  const missing = (): Error =>
    badLayer('bad-hard-link', entry.name, `is a hard link to "${entry.linkName}", which is no file of the image`);
  if (targetName === '') throw missing();
  const from = folders.find(parts.join('/'), entry.name);
  if (!from) throw missing();
  if (from.path === place.path && targetName === name && lookIn(place.file, name)?.isDirectory() === false) return;
  const source = sourceOf(folders, from, targetName);
  if (!source) throw missing();
  replacing(place, name, () => linkAt(source.at, source.name, place.file, name));
  if (source.owner !== undefined) setOwnerAt(place.file, name, source.owner.uid, source.owner.gid);
}

/** `owner`: what is recorded of it beside the layer that it is from, where owners are. */
type LinkSource = { readonly at: number; readonly name: ByteString; readonly owner?: Owner };

function sourceOf(folders: Folders, from: Place, name: ByteString): LinkSource | undefined {
  const stats = from.file === undefined ? undefined : lookIn(from.file, name);
  if (stats && from.file !== undefined)
    return stats.isDirectory() || isWhiteout(stats, procPath(from.file, name)) ? undefined : { at: from.file, name };
  const below = folders.below(from, name);
  if (!below || below.kind === 'folder') return undefined;
  return { at: AT_FDCWD, name: below.hostPath, ...(ownRights().hasOneId && below.kind !== 'file' ? { owner: below } : {}) };
}

function placeNode({ place, name, entry }: Goal, make: () => void): void {
  replacing(place, name, make);
  setMetadata(place.file, name, 'other', entry);
}

/** Throws `layer/device-node`. */
function placeDevice(goal: Goal): void {
  const { place, name, entry } = goal;
  const why = whyNoDevice(entry.name, entry);
  if (why !== undefined) throw badLayer('device-node', entry.name, why);
  placeNode(goal, () => makeDeviceAt(place.file, name, entry.device ?? { major: 0, minor: 0 }));
}

/** As `setMetadata`, by the open file where that is possible. */
function endFile(state: State): void {
  const { file: open, entry } = state;
  if (!open || !entry) return;
  const { file, place, name } = open;
  if (open.written < entry.size) ftruncateSync(file, entry.size);
  setOwner(file, entry.uid, entry.gid);
  fchmodSync(file, entry.mode);
  for (const [key, value] of entry.xattrs) if (belongsToLayer(key)) setTreeAttribute(procPath(place.file, name), key, value);
  changeTimeAt(place.file, name, entry.mtime);
  state.file = undefined;
  closeFile(file);
}
