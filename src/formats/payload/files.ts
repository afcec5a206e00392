/** What the check needs to see of an image or a stage, whoever has its files. */
import { asByteString, type ByteString } from '#ground/base/byte-string.ts';
import type { FileBytes } from '#formats/elf/file-bytes.ts';

export type PayloadEntry = {
  /** The real path, without a leading slash; '' is the root. */
  readonly path: ByteString;
  readonly kind: 'file' | 'folder' | 'other';
  /** Permission bits with setuid and setgid. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Real paths of all folders that were passed on the way, those behind links too. Undefined: those above `path`. */
  readonly passed?: readonly ByteString[];
};

export type PayloadFiles = {
  /** What an absolute path leads to as the kernel follows it, links inside the root; undefined where nothing is, and for links that lead in circles. */
  find(path: ByteString): PayloadEntry | undefined;
  /** Opens a file for as long as `read` runs. */
  use<T>(entry: PayloadEntry, read: (bytes: FileBytes) => T): T;
};

/** Who runs a program. */
export type PayloadUser = { readonly uid: number; readonly gids: readonly number[] };

const bits = { read: 4, search: 1, execute: 1 } as const;

/** As the kernel decides it without access control lists; root may all, but for files without any execute bit. */
export function may(user: PayloadUser, what: keyof typeof bits, { mode, uid, gid, kind }: PayloadEntry): boolean {
  if (user.uid === 0) return what !== 'execute' || kind !== 'file' || (mode & 0o111) !== 0;
  const shift = user.uid === uid ? 6 : user.gids.includes(gid) ? 3 : 0;
  return ((mode >> shift) & bits[what]) !== 0;
}

/** The folder on the way to an entry that the user may not pass; undefined for none. */
export function closedFolder(user: PayloadUser, entry: PayloadEntry, files: PayloadFiles): ByteString | undefined {
  if (user.uid === 0) return undefined;
  return (entry.passed ?? foldersAbove(entry.path)).map(asPath).find((path) => {
    const folder = files.find(path);
    return folder !== undefined && !may(user, 'search', folder);
  });
}

function foldersAbove(path: string): readonly string[] {
  const names = path.split('/').slice(0, -1);
  return Array.from({ length: names.length + 1 }, (_, count) => names.slice(0, count).join('/'));
}

/** With a leading slash. */
export function asPath(path: string): ByteString {
  return joined('/', path);
}

/** A name under a folder; an absolute one is itself. `.` and `..` stay for whoever follows links. */
export function joined(folder: string, name: string): ByteString {
  const path = name.startsWith('/') ? name : `${folder}/${name}`;
  return asByteString(`/${path.replaceAll(/\/{2,}/gu, '/').replace(/^\//u, '')}`);
}

export function folderOf(path: string): ByteString {
  return asByteString(path.slice(0, Math.max(path.lastIndexOf('/'), 0)) || '/');
}

export function nameOf(path: string): ByteString {
  return asByteString(path.slice(path.lastIndexOf('/') + 1));
}
