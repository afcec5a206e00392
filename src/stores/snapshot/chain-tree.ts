/**
 * A chain of snapshots read as one merged tree, without mounting it: the same view as the kernel's overlayfs gives
 * (https://docs.kernel.org/filesystems/overlayfs.html), where a whiteout is a character device 0:0 and an opaque folder hides what is below.
 *
 * Host paths are joined name by name, and each folder on the way was seen by lstat to be a real folder before anything below it is
 * looked at. Looking first and using later is safe here: committed folders never change, and active ones are written by this process only.
 */
import { readdirSync } from 'node:fs';
import { asByteString, fromText, nodePath, type ByteString } from '#ground/base/byte-string.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { getAttribute, setAttribute } from '#ground/linux/attributes.ts';
import { readAttributes } from '#ground/linux/attributes.ts';
import { describeEntry, lookAt, notAFolder, readEntryFile, resolveLinks } from '#ground/linux/tree-read.ts';
import type { Tree, TreeEntry } from '#ground/linux/tree.ts';
import { isWhiteout } from './whiteout.ts';
import { opaqueAttribute } from '#ground/linux/user-namespace.ts';
import { recordedOwners } from './owners-file.ts';

/** Where one folder of the merged tree lies: the real folders that make it, topmost first. */
type Folder = { readonly entry: TreeEntry; readonly parts: readonly Part[] };
type Part = { readonly hostPath: ByteString; readonly layer: number; readonly owned: (entry: TreeEntry) => TreeEntry };

const root = asByteString('');
const opaqueMark: Uint8Array = new Uint8Array([0x79]);

/**
 * The tree of `folders` (absolute paths, topmost first). No folders: an empty root, 0755 0:0. Look-ups of folders are remembered, so
 * open a new tree after writing to an active snapshot. Opening costs nothing; the first look-up two system calls a folder, and it throws `snapshot/folder-missing`.
 */
export function openChainTree(folders: readonly string[]): Tree {
  const known = new Map<string, Folder | undefined>();

  const folderAt = (path: ByteString): Folder | undefined => {
    if (known.has(path)) return known.get(path);
    const found = path === '' ? openRoot(folders) : lookUp(path);
    const folder = found?.entry.kind === 'folder' ? found : undefined;
    known.set(path, folder);
    return folder;
  };
  const lookUp = (path: ByteString): Folder | undefined => {
    const slash = path.lastIndexOf('/');
    const name = path.slice(slash + 1);
    if (name === '' || name === '.' || name === '..') return undefined;
    const parent = folderAt(asByteString(path.slice(0, Math.max(slash, 0))));
    return parent && findInParts(parent.parts, path, name);
  };
  const entry = (path: ByteString): TreeEntry | undefined =>
    path === '' ? folderAt(path)?.entry : (known.get(path)?.entry ?? lookUp(path)?.entry);

  return {
    entry,
    resolve: (path, followLast) => resolveLinks(entry, path, followLast),
    list(path) {
      const folder = folderAt(path);
      if (!folder) throw notAFolder(path);
      return listParts(folder.parts, path);
    },
    readFile: readEntryFile,
    xattrs: (found) => (found.hostPath === '' ? new Map<string, Uint8Array>() : readAttributes(found.hostPath)),
  };
}

/**
 * The folders of a chain (topmost first) down to the first whose root is opaque. The kernel does not look at that mark on the root of a
 * lower (seen with 6.18), so a chain must be cut before it is mounted.
 */
export function cutChain(folders: readonly string[]): readonly string[] {
  const bottom = folders.findIndex((folder) => isOpaque(fromText(folder)));
  return bottom < 0 ? folders : folders.slice(0, bottom + 1);
}

/** Does this real folder hide what lies below it in a chain? */
export function isOpaque(hostPath: ByteString): boolean {
  const value = getAttribute(hostPath, opaqueAttribute());
  return value !== undefined && value.length === 1 && value[0] === opaqueMark[0];
}

/** Makes this real folder hide what lies below it in a chain, as an overlay mounted here would. */
export function markOpaque(path: ByteString): void {
  setAttribute(path, opaqueAttribute(), opaqueMark);
}

/** `snapshot/folder-missing`. */
export function folderMissing(folder: string): JettisonError {
  return new JettisonError('snapshot/folder-missing', `"${folder}" is not a folder`, { fault: 'environment' });
}

function openRoot(folders: readonly string[]): Folder {
  const parts: Part[] = [];
  let top: TreeEntry | undefined;
  for (const [layer, folder] of cutChain(folders).entries()) {
    const hostPath = fromText(folder);
    const stats = lookAt(hostPath);
    if (!stats?.isDirectory()) throw folderMissing(folder);
    const owned = recordedOwners(folder);
    top ??= owned(describeEntry({ path: root, hostPath, layer, stats }));
    parts.push({ hostPath, layer, owned });
  }
  return { entry: top ?? emptyRoot, parts };
}

const emptyRoot: TreeEntry = {
  path: root,
  kind: 'folder',
  mode: 0o755,
  uid: 0,
  gid: 0,
  size: 0,
  mtime: 0n,
  inode: 0,
  links: 2,
  device: undefined,
  target: undefined,
  hostPath: root,
  layer: 0,
};

/** The entry `name` of a merged folder and, for a folder, all parts that make it. */
function findInParts(parts: readonly Part[], path: ByteString, name: string): Folder | undefined {
  let top: TreeEntry | undefined;
  const found: Part[] = [];
  for (const [index, part] of parts.entries()) {
    const hostPath = asByteString(`${part.hostPath}/${name}`);
    const stats = lookAt(hostPath);
    if (!stats) continue;
    const isFolder = stats.isDirectory();
    if (isWhiteout(stats, hostPath) || (top && !isFolder)) break;
    top ??= part.owned(describeEntry({ path, hostPath, layer: part.layer, stats }));
    if (!isFolder) break;
    found.push({ ...part, hostPath });
    if (index < parts.length - 1 && isOpaque(hostPath)) break;
  }
  return top && { entry: top, parts: found };
}

function listParts(parts: readonly Part[], path: ByteString): readonly TreeEntry[] {
  const prefix = path === '' ? '' : `${path}/`;
  const seen = new Set<string>();
  const entries: TreeEntry[] = [];
  for (const { hostPath: folder, layer, owned } of parts) {
    for (const name of readdirSync(nodePath(folder), 'latin1')) {
      if (seen.has(name)) continue;
      seen.add(name);
      const hostPath = asByteString(`${folder}/${name}`);
      const stats = lookAt(hostPath);
      if (stats && !isWhiteout(stats, hostPath))
        entries.push(owned(describeEntry({ path: asByteString(prefix + name), hostPath, layer, stats })));
    }
  }
  return entries.toSorted((a, b) => (a.path < b.path ? -1 : 1));
}
