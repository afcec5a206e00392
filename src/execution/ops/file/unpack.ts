/**
 * ADD of a local archive. Archives are hostile: every name is resolved inside the destination as if that were the root (BuildKit does
 * the same), links are never followed by the kernel, and of devices only the usual ones of /dev are made.
 */
import { fchmodSync, ftruncateSync, writeSync } from 'node:fs';
import type { TarEntry } from '#formats/tar/entry.ts';
import { asByteString, toText, type ByteString } from '#ground/base/byte-string.ts';
import { fullDisk, isCode, JettisonError, messageOf, refusedFile } from '#ground/base/errors.ts';
import { changeModeAt, changeTimeAt, closeFile, fileTypes, linkAt, makeNodeAt, makeSymlinkAt, procPath } from '#ground/linux/syscall.ts';
import { setTreeAttribute } from '#ground/linux/attributes.ts';
import { setOwner, setOwnerAt } from '#ground/linux/owner.ts';
import { resolveLinks } from '#ground/linux/tree-read.ts';
import { belongsToLayer } from '#stores/layer/attributes.ts';
import { makeDeviceAt, whyNoDevice } from '#stores/layer/devices.ts';
import { isDamage, readArchive } from './archive.ts';
import type { OwnerIds } from './owner.ts';
import { createFile } from './place-entry.ts';
import { joinPath, nameOf, parentOf, type OpenFolder, type Upper } from './upper.ts';

export type Unpacking = {
  readonly upper: Upper;
  /** Real path of the destination, an existing folder. */
  readonly destination: ByteString;
  /** --chown; undefined: as in the archive. */
  readonly owner: OwnerIds | undefined;
  /** Called for each entry and chunk; throws to stop. */
  readonly checkpoint: () => void;
  /** For messages. */
  readonly archive: string;
};

/** Folders above an entry that the archive itself does not hold. */
const wayThere = { mode: 0o755, uid: 0, gid: 0 };

/** Unpacks the archive in an open file. Throws `ops/bad-archive` when it is damaged or wants what it may not have. */
export async function unpackArchive(on: Unpacking, file: number): Promise<void> {
  const folderTimes: (readonly [ByteString, bigint])[] = [];
  let open: { readonly file: number; readonly finish: () => void } | undefined;
  const close = (): void => {
    if (open) closeFile(open.file);
    open = undefined;
  };
  try {
    await readArchive(file, {
      entry(entry) {
        on.checkpoint();
        const path = cleanName(on, entry.name);
        if (path === '') return;
        if (entry.kind === 'folder') folderTimes.push([unpackFolder(on, path, entry), entry.mtime]);
        else open = unpackOther(on, path, entry);
      },
      data(bytes, offset) {
        on.checkpoint();
        for (let at = 0; open && at < bytes.length;) at += writeSync(open.file, bytes, at, bytes.length - at, offset + at);
      },
      entryEnd() {
        open?.finish();
        close();
      },
    });
  } catch (error) {
    const why = refusedFile(error);
    if (why !== undefined && fullDisk(error) === undefined) throw bad(on, `${why} (${messageOf(error).slice(0, 300)})`, error);
    if (!isDamage(error) && !isCode(error, 'linux/attribute-refused')) throw error;
    throw bad(on, messageOf(error), error);
  } finally {
    close();
  }
  for (const [path, mtime] of folderTimes.toReversed()) {
    if (on.upper.entry(path)?.kind === 'folder') changeTimeAt(on.upper.file, path, mtime);
  }
}

/** An existing folder stays and takes the archive's looks; anything else, also a link to a folder, makes place for it. Gives its real path. */
function unpackFolder(on: Unpacking, path: ByteString, entry: TarEntry): ByteString {
  const real = realPath(on, path, false);
  const existing = on.upper.entry(real);
  using folder = existing && existing.kind !== 'folder' ? replaceByFolder(on, real) : openMade(on, real);
  const { uid, gid } = on.owner ?? entry;
  setOwnerAt(folder.file, asByteString(''), uid, gid);
  changeModeAt(folder.file, asByteString('.'), entry.mode);
  setAttributes(procPath(folder.file, '.'), entry);
  return real;
}

/** Gives the open file whose bytes follow. */
function unpackOther(on: Unpacking, path: ByteString, entry: TarEntry): { readonly file: number; readonly finish: () => void } | undefined {
  const parent = realPath(on, parentOf(path), true);
  on.upper.makeFolders(parent, wayThere);
  const name = nameOf(path);
  const place = joinPath(parent, name);
  const target = entry.kind === 'hard-link' ? linkTarget(on, entry, place) : undefined;
  const folder = on.upper.openFolder(parent);
  let keepOpen = false;
  try {
    on.upper.clear(folder, name);
    if (target !== undefined) linkAt(on.upper.file, target, folder.file, name);
    else if (entry.kind === 'file') {
      const file = createFile(folder, name);
      keepOpen = true;
      return { file, finish: () => finishFile(on, { file, folder, name }, entry) };
    } else makeOther(on, folder, name, entry);
    return undefined;
  } finally {
    if (!keepOpen) folder[Symbol.dispose]();
  }
}

function makeOther(on: Unpacking, folder: OpenFolder, name: ByteString, entry: TarEntry): void {
  const { uid, gid } = on.owner ?? entry;
  if (entry.kind === 'symlink' && entry.linkName === '') throw bad(on, `"${toText(entry.name)}" is a symbolic link to nothing`);
  if (entry.kind === 'symlink') makeSymlinkAt(entry.linkName, folder.file, name);
  else makeNode(on, folder, name, entry);
  setOwnerAt(folder.file, name, uid, gid);
  if (entry.kind !== 'symlink') changeModeAt(folder.file, name, entry.mode);
  setAttributes(procPath(folder.file, name), entry);
  changeTimeAt(folder.file, name, entry.mtime);
}

/** Pipes, and the devices that debootstrap and its like leave in /dev. */
function makeNode(on: Unpacking, folder: OpenFolder, name: ByteString, entry: TarEntry): void {
  if (entry.kind === 'fifo') return makeNodeAt(folder.file, name, { type: fileTypes.fifo, mode: 0o600 });
  const why = whyNoDevice(joinPath(folder.path, name), entry);
  if (why !== undefined) throw bad(on, `"${toText(entry.name)}" ${why}`);
  makeDeviceAt(folder.file, name, entry.device ?? { major: 0, minor: 0 });
}

function finishFile(
  on: Unpacking,
  place: { readonly file: number; readonly folder: OpenFolder; readonly name: ByteString },
  entry: TarEntry,
): void {
  using folder = place.folder;
  const { uid, gid } = on.owner ?? entry;
  ftruncateSync(place.file, entry.size);
  setOwner(place.file, uid, gid);
  fchmodSync(place.file, entry.mode);
  setAttributes(procPath(folder.file, place.name), entry);
  changeTimeAt(folder.file, place.name, entry.mtime);
}

/** The path in the upper folder of the file that a hard link names. */
function linkTarget(on: Unpacking, entry: TarEntry, place: ByteString): ByteString {
  const path = cleanName(on, entry.linkName);
  const target = joinPath(realPath(on, parentOf(path), true), nameOf(path));
  const found = path === '' ? undefined : on.upper.entry(target);
  if (!found || found.kind === 'folder' || found.layer !== 0 || target === place) {
    throw bad(on, `"${toText(entry.name)}" is another name of "${toText(entry.linkName)}", which is not in the archive before it`);
  }
  return target;
}

function replaceByFolder(on: Unpacking, path: ByteString): OpenFolder {
  using parent = on.upper.openFolder(parentOf(path));
  return on.upper.makeFolder(parent, nameOf(path));
}

function openMade(on: Unpacking, path: ByteString): OpenFolder {
  on.upper.makeFolders(path, wayThere);
  return on.upper.openFolder(path);
}

/** Links resolved with the destination as root. */
function realPath(on: Unpacking, path: ByteString, followLast: boolean): ByteString {
  const within = resolveLinks((inner) => on.upper.entry(inner === '' ? on.destination : joinPath(on.destination, inner)), path, followLast);
  return within.path === '' ? on.destination : joinPath(on.destination, within.path);
}

/** As Go's filepath.Clean, then relative to the destination; '' for the destination itself. */
function cleanName(on: Unpacking, name: ByteString): ByteString {
  const parts: string[] = [];
  for (const part of name.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') parts.push(part);
    else if (parts.pop() === undefined && !name.startsWith('/')) throw bad(on, `"${toText(name)}" leads out of the destination`);
  }
  return asByteString(parts.join('/'));
}

function setAttributes(path: ByteString, entry: TarEntry): void {
  for (const [name, value] of entry.xattrs) if (belongsToLayer(name)) setTreeAttribute(path, name, value);
}

function bad(on: Unpacking, why: string, cause?: unknown): JettisonError {
  return new JettisonError('ops/bad-archive', `Cannot unpack "${on.archive}": ${why}`, {
    hint: 'COPY instead of ADD takes the file as it is',
    cause,
  });
}
