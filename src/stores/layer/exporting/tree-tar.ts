import { asByteString, toText, type ByteString } from '#ground/base/byte-string.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { sharedInode } from '#ground/linux/tree-digest.ts';
import type { TreeEntry } from '#ground/linux/tree.ts';
import { noAttributes, type TarEntry } from '#formats/tar/entry.ts';
import { encodeHeader, paddingOf } from '#formats/tar/write.ts';
import { belongsToLayer } from '../attributes.ts';
import type { Exported, ExportTarget, Watch } from '../jobs.ts';
import { createBlobFile } from '../making/blob-file.ts';
import { put, putContent, putEnd, sameBuffer, startOutput, type Output } from '../making/layer-tar.ts';
import { standsForDevice } from './device.ts';
import type { Export } from './export-files.ts';

const nothing = asByteString('');

/** Names in byte order, the folder itself has no entry; the same tree gives the same bytes. The file is gone when this throws. */
export function writeTreeTar(to: Extract<ExportTarget, { kind: 'tar' }>, exports: readonly Export[], watch: Watch): Exported {
  using file = createBlobFile(to.file, to.passes, () => watch.check(), 0o666);
  let entries = 0;
  try {
    for (const block of treesTar(exports, () => entries++)) {
      watch.check();
      file.write([block], file.size + block.length);
      watch.progress(file.size);
    }
    return { entries, size: file.size, segments: file.segments };
  } catch (error) {
    file.remove();
    throw error;
  }
}

function* treesTar(exports: readonly Export[], onEntry: () => void): Generator<Uint8Array, void, void> {
  const output = startOutput(sameBuffer());
  for (const one of exports) yield* treeTar(one, output, onEntry);
  yield* putEnd(output);
}

function* treeTar({ tree, chosen, under, time, notes }: Export, output: Output, onEntry: () => void): Generator<Uint8Array, void, void> {
  const firstNames = new Map<string, ByteString>();
  const putEntry = function* (entry: TreeEntry, name: ByteString): Generator<Uint8Array, void, void> {
    if (entry.kind === 'socket') return;
    const header = headerOf(entry, name);
    onEntry();
    yield* put(output, encodeHeader(header));
    if (header.kind === 'file' && header.size > 0) yield* putContent(output, entry.hostPath, header.size);
    if (entry.kind === 'folder') yield* putFolder(entry, name);
  };
  const putFolder = function* (folder: TreeEntry, name: ByteString): Generator<Uint8Array, void, void> {
    for (const entry of tree.list(folder.path)) {
      const own = asByteString(entry.path.slice(entry.path.lastIndexOf('/') + 1));
      yield* putEntry(entry, join(name, own));
    }
  };
  const headerOf = (entry: TreeEntry, name: ByteString): TarEntry => {
    const inode = entry.kind === 'folder' ? undefined : sharedInode(entry);
    const first = inode === undefined ? undefined : firstNames.get(inode);
    const { mode, uid, gid } = entry;
    const header = {
      name,
      mode,
      uid,
      gid,
      mtime: time ?? entry.mtime,
      size: 0,
      linkName: nothing,
      device: undefined,
      xattrs: noAttributes,
    };
    if (first !== undefined) return { ...header, kind: 'hard-link', linkName: first };
    if (inode !== undefined) firstNames.set(inode, name);
    const found = tree.xattrs(entry);
    const xattrs = new Map([...found].filter(([attribute]) => belongsToLayer(attribute)));
    const device = standsForDevice(entry, found);
    if (device !== undefined) return { ...header, kind: 'character-device', device, xattrs };
    if (entry.kind === 'symlink') return { ...header, kind: entry.kind, linkName: entry.target ?? nothing, xattrs };
    if (entry.kind === 'socket') throw new JettisonError('layer/socket', `"${toText(entry.path)}" is a socket`, { fault: 'bug' });
    return { ...header, kind: entry.kind, size: entry.kind === 'file' ? entry.size : 0, device: entry.device, xattrs };
  };
  const within = under ?? nothing;
  if (under !== undefined) yield* put(output, encodeHeader(folderHeader(under, time ?? 0n)));
  yield* chosen.name === '' ? putFolder(chosen.entry, within) : putEntry(chosen.entry, join(within, chosen.name));
  for (const { name, bytes } of notes) {
    onEntry();
    yield* put(output, encodeHeader({ ...folderHeader(join(within, name), time ?? 0n), kind: 'file', mode: 0o600, size: bytes.length }));
    yield* put(output, bytes);
    yield* put(output, new Uint8Array(paddingOf(bytes.length)));
  }
}

function join(folder: ByteString, name: ByteString): ByteString {
  return folder === '' ? name : asByteString(`${folder}/${name}`);
}

function folderHeader(name: ByteString, mtime: bigint): TarEntry {
  return { name, kind: 'folder', mode: 0o755, uid: 0, gid: 0, mtime, size: 0, linkName: nothing, device: undefined, xattrs: noAttributes };
}
