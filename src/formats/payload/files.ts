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
};

export type PayloadFiles = {
  /** What an absolute path leads to, links followed inside the root; undefined where nothing is, and for links that lead in circles. */
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
  const names = entry.path.split('/').slice(0, -1);
  for (let count = 0; count <= names.length; count++) {
    const path = asPath(names.slice(0, count).join('/'));
    const folder = files.find(path);
    if (folder !== undefined && !may(user, 'search', folder)) return path;
  }
  return undefined;
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
