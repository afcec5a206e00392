/** Removes trees that others made: no link is followed, no mount entered (EXDEV), no mode stops it, and any depth works. */
import { readdirSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { asByteString, fromText, type ByteString } from '#ground/base/byte-string.ts';
import { systemCode } from '#ground/base/errors.ts';
import { AT_FDCWD, changeModeAt, closeFile, openAt, openFlags, removeFolderAt, renameAt, resolveFlags, unlinkAt } from './syscall.ts';

/** Folders deeper than this are moved to the top first: each open level costs a file descriptor. */
const maximumDepth = 200;

const beneathHere = resolveFlags.beneath | resolveFlags.noSymlinks | resolveFlags.noCrossDevice;

type Removal = { readonly top: number; readonly moved: ByteString[]; counter: number };

/** Removes `path` (absolute) and all below it; nothing there is fine. The way to `path` itself must be trusted. */
export function removeTree(path: string): void {
  const parent = openAt(AT_FDCWD, fromText(dirname(path)), { flags: openFlags.path | openFlags.directory, resolve: 0 });
  try {
    removeTreeAt(parent, fromText(basename(path)));
  } finally {
    closeFile(parent);
  }
}

/** The same for a path in an open folder, where names like `.removing-1-2` are nobody else's. */
export function removeTreeAt(parent: number, path: ByteString): void {
  const removal: Removal = { top: parent, moved: [], counter: 0 };
  removeEntry(removal, parent, path, 0);
  for (let name = removal.moved.pop(); name !== undefined; name = removal.moved.pop()) removeEntry(removal, parent, name, 0);
}

function removeEntry(removal: Removal, parent: number, name: ByteString, depth: number): void {
  try {
    unlinkAt(parent, name);
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ENOENT') return;
    // EISDIR is Linux's answer for a folder, EPERM that of POSIX.
    if (code !== 'EISDIR' && code !== 'EPERM') throw error;
    if (depth < maximumDepth) emptyFolder(removal, parent, name, depth);
    else moveUp(removal, parent, name);
  }
}

function moveUp(removal: Removal, parent: number, name: ByteString): void {
  const fresh = asByteString(`.removing-${process.pid}-${removal.counter++}`);
  renameAt(parent, name, removal.top, fresh);
  removal.moved.push(fresh);
}

function emptyFolder(removal: Removal, parent: number, name: ByteString, depth: number): void {
  const folder = openForRemoval(parent, name);
  try {
    for (const child of readdirSync(`/proc/self/fd/${folder}`, 'latin1')) removeEntry(removal, folder, asByteString(child), depth + 1);
  } finally {
    closeFile(folder);
  }
  removeFolderAt(parent, name);
}

/** Who is not root needs all three bits on each folder. */
function openForRemoval(parent: number, name: ByteString): number {
  const open = (): number =>
    openAt(parent, name, {
      flags: openFlags.readOnly | openFlags.directory | openFlags.noFollow,
      resolve: beneathHere,
    });
  if (process.getuid?.() === 0) return open();
  const seen = openAt(parent, name, {
    flags: openFlags.path | openFlags.directory | openFlags.noFollow,
    resolve: beneathHere,
  });
  closeFile(seen);
  changeModeAt(parent, name, 0o700);
  return open();
}
