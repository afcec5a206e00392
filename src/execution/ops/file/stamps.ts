/**
 * What a COPY of the client's files remembers for its next version: which state of which file became which file of the snapshot. A file that is in the
 * same state still is linked from there instead of being copied again.
 */
import type { ByteString } from '#ground/base/byte-string.ts';
import { systemCode } from '#ground/base/errors.ts';
import { AT_FDCWD, closeFile, linkAt, openAt, openFlags, resolveFlags } from '#ground/linux/syscall.ts';
import type { TreeEntry } from '#ground/linux/tree.ts';
import { isSettled } from '#stores/context/settled.ts';
import { nameOf, parentOf } from './upper.ts';

/** The copy before: the folder of its snapshot, and its stamps as it gave them. */
export type EarlierCopy = { readonly folder: string; readonly stamps: string };

export type Stamps = Disposable & {
  /** Links the copy that an earlier snapshot has of exactly this file; false when it has none. */
  link(entry: TreeEntry, path: ByteString, into: number): boolean;
  /** The file was copied, after `seenAt` (nanoseconds since the epoch). */
  keep(entry: TreeEntry, path: ByteString, seenAt: bigint): void;
  /** What the next version wants to know. */
  print(): string;
};

/** `look`: what else decides how the copies look, as a text: stamps of another look are of no use. */
export function openStamps(earlier: EarlierCopy | undefined, look: string): Stamps {
  const before = earlier === undefined ? noStamps : parse(earlier.stamps, look);
  const source = earlier === undefined || before.size === 0 ? undefined : openFolders(earlier.folder);
  const now: string[] = [];

  return {
    link(entry, path, into) {
      const stamp = stampOf(entry);
      if (source === undefined || before.get(path) !== stamp || !source.link(path, into)) return false;
      now.push(path, stamp);
      return true;
    },
    keep(entry, path, seenAt) {
      if (isSettled(entry, seenAt)) now.push(path, stampOf(entry));
    },
    print: () => JSON.stringify([look, ...now]),
    [Symbol.dispose]: () => source?.[Symbol.dispose](),
  };
}

const noStamps: ReadonlyMap<string, string> = new Map<string, string>();

/** Another inode, size, mode, owner or time is another state. */
function stampOf({ inode, size, mtime, ctime, fileSystem }: TreeEntry): string {
  return `${inode.toString(36)} ${size.toString(36)} ${mtime.toString(36)} ${ctime?.toString(36) ?? ''} ${fileSystem?.toString(36) ?? ''}`;
}

/** A text that cannot be read is as good as none. */
function parse(text: string, look: string): ReadonlyMap<string, string> {
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return noStamps;
  }
  if (!Array.isArray(list) || list[0] !== look) return noStamps;
  const stamps = new Map<string, string>();
  for (let index = 1; index + 1 < list.length; index += 2) stamps.set(String(list[index]), String(list[index + 1]));
  return stamps;
}

/** Links out of a committed snapshot's folder, one of its folders open at a time. */
function openFolders(folder: string): Disposable & { link(path: ByteString, into: number): boolean } {
  const root = openAt(AT_FDCWD, folder, { flags: openFlags.directory, resolve: 0 });
  let current: { readonly path: ByteString; readonly file: number } | undefined;
  const close = (): void => {
    if (current !== undefined) closeFile(current.file);
    current = undefined;
  };
  const open = (path: ByteString): number => {
    if (current?.path === path) return current.file;
    close();
    const file = openAt(root, path === '' ? '.' : path, {
      flags: openFlags.directory,
      resolve: resolveFlags.beneath | resolveFlags.noSymlinks,
    });
    current = { path, file };
    return file;
  };
  return {
    link(path, into) {
      try {
        linkAt(open(parentOf(path)), nameOf(path), into, nameOf(path));
        return true;
      } catch (error) {
        if (!cannotLink.has(systemCode(error) ?? '')) throw error;
        return false;
      }
    },
    [Symbol.dispose]() {
      close();
      closeFile(root);
    },
  };
}

/** The snapshot is going, has too many names of the file, or may not be linked from: a copy serves as well. */
const cannotLink = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'EXDEV', 'EMLINK', 'EPERM']);
