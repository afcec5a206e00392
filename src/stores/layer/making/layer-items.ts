import { readdirSync, type BigIntStats } from 'node:fs';
import { asByteString, nodePath, toText, type ByteString } from '#ground/base/byte-string.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { getAttribute, listAttributes, treeAttributeName } from '#ground/linux/attributes.ts';
import { describeEntry, lookAt } from '#ground/linux/tree-read.ts';
import type { Tree, TreeEntry } from '#ground/linux/tree.ts';
import { overlayMarks } from '#ground/linux/user-namespace.ts';
import { noAttributes, type TarEntry } from '#formats/tar/entry.ts';
import { openChainTree } from '#stores/snapshot/chain-tree.ts';
import { isWhiteout } from '#stores/snapshot/whiteout.ts';
import { recordedOwners } from '#stores/snapshot/owners-file.ts';
import { belongsToLayer } from '../attributes.ts';
import { deviceAttribute, standsFor } from '../devices.ts';
import { opaqueMark, whiteoutPrefix } from '../whiteout.ts';

/** An entry of a layer, and the host path of a file whose content follows it. */
export type LayerItem = { readonly entry: TarEntry; readonly content: ByteString | undefined };

/** `showsBelow`: what lower layers have in it is not hidden by this layer. */
type Folder = { readonly path: ByteString; readonly hostPath: ByteString; readonly isOpaque: boolean; readonly showsBelow: boolean };
type Walk = {
  readonly owned: (entry: TreeEntry) => TreeEntry;
  readonly below: Tree | undefined;
  readonly firstNames: Map<number, ByteString>;
};
type Attributes = { readonly kept: ReadonlyMap<string, Uint8Array>; readonly isOpaque: boolean; readonly device: TarEntry['device'] };

const nothing = asByteString('');

/**
 * Everything of a snapshot's own folder in the order of its layer: names in byte order, whiteouts first in their folder. The root has no
 * entry (as with BuildKit), sockets have none either. Names of one inode in this folder are hard links, whatever the inode's own count
 * says: others of its names may lie in other snapshots.
 *
 * With `below`, the folders of the snapshots under it (topmost first), only deletions of what is there are kept: overlayfs marks every
 * new folder as opaque, on some kernels. Throws `layer/reserved-name`, `layer/foreign-overlay`.
 */
export function* layerItems(folder: ByteString, below?: readonly string[]): Generator<LayerItem, void, void> {
  if (!lookAt(folder)?.isDirectory()) {
    throw new JettisonError('layer/folder-missing', `The snapshot's folder "${toText(folder)}" is not there`, { fault: 'environment' });
  }
  const { isOpaque } = readAttributes(folder, nothing);
  const walk: Walk = { owned: recordedOwners(toText(folder)), below: below && openChainTree(below), firstNames: new Map() };
  yield* itemsOf({ path: nothing, hostPath: folder, isOpaque, showsBelow: below?.length !== 0 }, walk);
}

function* itemsOf(folder: Folder, walk: Walk): Generator<LayerItem, void, void> {
  const { whiteouts, names } = readFolder(folder);
  if (folder.isOpaque && folder.showsBelow && hidesFolder(walk, folder.path)) yield whiteout(inside(folder.path, opaqueMark));
  const showsBelow = folder.showsBelow && !folder.isOpaque;
  for (const name of whiteouts) {
    if (showsBelow && hidesEntry(walk, inside(folder.path, name))) yield whiteout(inside(folder.path, whiteoutPrefix + name));
  }
  for (const [name, stats] of names) {
    const path = inside(folder.path, name);
    if (name.startsWith(whiteoutPrefix)) throw reservedName(path);
    const hostPath = inside(folder.hostPath, name);
    const entry = walk.owned(describeEntry({ path, hostPath, layer: 0, stats }));
    if (entry.kind === 'socket') continue;
    const { kept, isOpaque, device } = readAttributes(hostPath, path);
    const standsForDevice = device !== undefined && entry.kind === 'file' && entry.size === 0;
    yield itemOf(standsForDevice ? { ...entry, kind: 'character-device', device } : entry, kept, walk.firstNames);
    if (entry.kind === 'folder') yield* itemsOf({ path, hostPath, isOpaque, showsBelow }, walk);
  }
}

/** Is there something under this path for a deletion to hide? Yes when nothing is known of lower layers. */
function hidesEntry({ below }: Walk, path: ByteString): boolean {
  return below === undefined || below.entry(path) !== undefined;
}

function hidesFolder({ below }: Walk, path: ByteString): boolean {
  return below === undefined || below.entry(path)?.kind === 'folder';
}

/** In byte order, each looked at once. */
function readFolder(folder: Folder): { readonly whiteouts: readonly string[]; readonly names: ReadonlyMap<string, BigIntStats> } {
  const whiteouts: string[] = [];
  const names = new Map<string, BigIntStats>();
  for (const name of readdirSync(nodePath(folder.hostPath), 'latin1').toSorted()) {
    const hostPath = inside(folder.hostPath, name);
    const stats = lookAt(hostPath);
    if (!stats) {
      const path = inside(folder.path, name);
      throw new JettisonError('layer/file-changed', `"${toText(path)}" is gone while its layer is made`, { fault: 'environment' });
    }
    if (isWhiteout(stats, hostPath)) whiteouts.push(name);
    else names.set(name, stats);
  }
  return { whiteouts, names };
}

function itemOf(entry: TreeEntry, xattrs: ReadonlyMap<string, Uint8Array>, firstNames: Map<number, ByteString>): LayerItem {
  const { kind, mode, uid, gid, mtime, device } = entry;
  if (kind === 'socket') throw new JettisonError('layer/socket', `"${toText(entry.path)}" is a socket`, { fault: 'bug' });
  const item = { name: entry.path, mode, uid, gid, mtime, size: 0, linkName: nothing, device, xattrs };
  if (kind === 'folder') return { entry: { ...item, kind }, content: undefined };
  const first = entry.links > 1 ? firstNames.get(entry.inode) : undefined;
  if (first !== undefined)
    return { entry: { ...item, kind: 'hard-link', linkName: first, xattrs: noAttributes, device: undefined }, content: undefined };
  if (entry.links > 1) firstNames.set(entry.inode, entry.path);
  if (kind === 'symlink') return { entry: { ...item, kind, linkName: entry.target ?? nothing }, content: undefined };
  if (kind !== 'file') return { entry: { ...item, kind }, content: undefined };
  return { entry: { ...item, kind, size: entry.size }, content: entry.size > 0 ? entry.hostPath : undefined };
}

function whiteout(name: ByteString): LayerItem {
  const entry: TarEntry = {
    name,
    kind: 'file',
    mode: 0,
    uid: 0,
    gid: 0,
    size: 0,
    mtime: 0n,
    linkName: nothing,
    device: undefined,
    xattrs: noAttributes,
  };
  return { entry, content: undefined };
}

function readAttributes(hostPath: ByteString, path: ByteString): Attributes {
  const names = listAttributes(hostPath);
  if (names.length === 0) return { kept: noAttributes, isOpaque: false, device: undefined };
  const kept = new Map<string, Uint8Array>();
  const marks = overlayMarks();
  let isOpaque = false;
  let device: TarEntry['device'];
  for (const found of names) {
    const name = treeAttributeName(found);
    const mark = name.startsWith(marks) ? name.slice(marks.length) : undefined;
    if (mark === undefined && !belongsToLayer(name) && name !== deviceAttribute) continue;
    const value = getAttribute(hostPath, found);
    if (value === undefined) continue;
    if (name === deviceAttribute) device = standsFor(path, value);
    else if (mark === undefined) kept.set(name, value);
    else if (mark === 'opaque' && value.length === 1 && value[0] === 0x79) isOpaque = true;
    else if (['opaque', 'metacopy', 'redirect', 'whiteout'].includes(mark)) throw foreignOverlay(path, name);
  }
  return { kept, isOpaque, device };
}

function inside(folder: ByteString, name: string): ByteString {
  return asByteString(folder === '' ? name : `${folder}/${name}`);
}

function reservedName(path: ByteString): JettisonError {
  return new JettisonError(
    'layer/reserved-name',
    `A layer cannot hold "/${toText(path)}": names that begin with ".wh." mean deletions there`,
    {
      hint: 'Give the file another name, or delete it in the step that makes it',
    },
  );
}

function foreignOverlay(path: ByteString, mark: string): JettisonError {
  return new JettisonError('layer/foreign-overlay', `"/${toText(path)}" has the mark "${mark}": its content lies in another folder`, {
    fault: 'bug',
  });
}
