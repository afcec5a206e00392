/** File trees as the rest of the house reads them. Types only: the readers are `snapshot/chain-tree.ts` and `context/local.ts`. */
import type { ByteString } from '#ground/base/byte-string.ts';

/** An entry of a tree: of a chain of snapshots seen merged, or of a folder of the client. */
export type TreeEntry = {
  /** Without a leading slash; '' is the root. */
  readonly path: ByteString;
  readonly kind: 'file' | 'folder' | 'symlink' | 'fifo' | 'socket' | 'character-device' | 'block-device';
  /** Permission bits with setuid, setgid and sticky (07777). */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Nanoseconds since the epoch. */
  readonly mtime: bigint;
  /** Inexact from 2^53 on. */
  readonly inode: number;
  readonly links: number;
  readonly device: { readonly major: number; readonly minor: number } | undefined;
  /** Target of a symlink. */
  readonly target: ByteString | undefined;
  /** Where the entry's own inode lies on the host, as bytes for node:fs and syscalls. */
  readonly hostPath: ByteString;
  /** Which folder of a chain holds it, 0 the topmost; 0 for a plain folder. */
  readonly layer: number;
  /**
   * When the inode was last changed in any way, and the number of its file system: together with `inode`, `size` and `mtime` they prove that a
   * file is as it was seen. Undefined where files never change (a committed snapshot: there a new hard link sets the change time).
   */
  readonly ctime?: bigint;
  readonly fileSystem?: bigint;
};

/** A file tree that can be read inside its root: a chain of snapshots without mounting it, or a build context with ignored paths left out. Synchronous. */
export type Tree = {
  /** The entry itself (no link followed at the end, and none on the way: undefined when the way is not made of real folders). */
  entry(path: ByteString): TreeEntry | undefined;
  /** Follows links on the way and, if `followLast`, at the end, inside the root. `path` is the real path; `entry` undefined when nothing is there. Throws `linux/symlink-loop` after 255 links. */
  resolve(path: ByteString, followLast: boolean): { readonly path: ByteString; readonly entry: TreeEntry | undefined };
  /** Entries of a real folder, in byte order. */
  list(path: ByteString): readonly TreeEntry[];
  /** At most `limit` bytes of a regular file; throws `linux/too-large` beyond. */
  readFile(entry: TreeEntry, limit: number): Uint8Array;
  /** Extended attributes of an entry without overlayfs's own (`trusted.overlay.*`, `user.overlay.*`). */
  xattrs(entry: TreeEntry): ReadonlyMap<string, Uint8Array>;
  /** Of a build context: where it is said that a path is left out (`.dockerignore:7`); undefined where nothing says so, or nobody knows where. */
  leftOutBy?(path: ByteString): string | undefined;
};
