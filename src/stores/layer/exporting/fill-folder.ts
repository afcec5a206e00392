import { asByteString, toText, type ByteString } from '#ground/base/byte-string.ts';
import { sharedInode } from '#ground/linux/tree-digest.ts';
import type { TreeEntry } from '#ground/linux/tree.ts';
import type { Exported, ExportTarget, Watch } from '../jobs.ts';
import { openClientFolder, type ClientFolder, type Look } from './client-folder.ts';
import { standsForDevice } from './device.ts';
import type { Export } from './export-files.ts';

type Folder = Extract<ExportTarget, { kind: 'folder' }>;

/** Makes the folders and those above it where they are missing; they keep their own mode and time, unless one becomes the root. Throws as `exportTree`. */
export function fillFolder(to: Folder, exports: readonly Export[], watch: Watch): Exported {
  const all = exports.map((one) => fill(one.under === undefined ? to : { ...to, path: `${to.path}/${toText(one.under)}` }, one, watch));
  const sum = (count: (one: Exported) => number): number => all.reduce((total, one) => total + count(one), 0);
  return { entries: sum(({ entries }) => entries), size: sum(({ size }) => size), segments: 0 };
}

function fill({ path, asRoot }: Folder, { tree, chosen, time, notes }: Export, watch: Watch): Exported {
  using root = openClientFolder(path);
  const firstPaths = new Map<string, ByteString>();
  let entries = 0;
  let size = 0;

  const lookOf = (entry: TreeEntry): Look => ({
    mode: entry.mode,
    mtime: time ?? entry.mtime,
    xattrs: tree.xattrs(entry),
    ...(asRoot?.keepsOwners === true ? { owner: [entry.uid, entry.gid] } : {}),
  });
  const place = (folder: ClientFolder, name: ByteString, entry: TreeEntry): void => {
    if (entry.kind === 'socket') return;
    watch.check();
    entries++;
    const look = lookOf(entry);
    if (entry.kind === 'folder') {
      using inner = folder.enter(name);
      for (const child of tree.list(entry.path)) place(inner, nameOf(child.path), child);
      inner.dress(look);
      return;
    }
    const inode = sharedInode(entry);
    const first = inode === undefined ? undefined : firstPaths.get(inode);
    if (first !== undefined && folder.link(name, first)) return;
    if (inode !== undefined) firstPaths.set(inode, folder.pathOf(name));
    const device = entry.device ?? standsForDevice(entry, look.xattrs);
    if (entry.kind === 'symlink') folder.makeLink(name, entry.target ?? asByteString(''), look);
    else if (entry.kind === 'file' && device === undefined) size += folder.copy(name, entry, look);
    else folder.makeNode(name, { kind: entry.kind === 'file' ? 'character-device' : entry.kind, device }, look);
    watch.progress(size);
  };
  if (chosen.name !== '') place(root, chosen.name, chosen.entry);
  else for (const child of tree.list(chosen.entry.path)) place(root, nameOf(child.path), child);
  for (const { name, bytes } of notes) {
    entries++;
    size += bytes.length;
    root.write(name, bytes, { mode: 0o600, mtime: time ?? BigInt(Date.now()) * 1_000_000n, xattrs: new Map() });
  }
  if (asRoot !== undefined && chosen.name === '') root.dress(lookOf(chosen.entry));
  return { entries, size, segments: 0 };
}

function nameOf(path: ByteString): ByteString {
  return asByteString(path.slice(path.lastIndexOf('/') + 1));
}
