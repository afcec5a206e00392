/** Entries of tar archives: POSIX pax (IEEE 1003.1, "pax Interchange Format") with the SCHILY and GNU additions that images use. */
import type { ByteString } from '#ground/base/byte-string.ts';

export type TarKind = 'file' | 'folder' | 'symlink' | 'hard-link' | 'fifo' | 'character-device' | 'block-device';

export type TarEntry = {
  /** As stored, so possibly absolute or with `..` when it comes from outside; no slash at the end. */
  readonly name: ByteString;
  readonly kind: TarKind;
  /** Permission bits with setuid, setgid and sticky (07777). */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of a file's content, holes included; 0 for every other kind. */
  readonly size: number;
  /** Nanoseconds since the epoch. */
  readonly mtime: bigint;
  /** Target of a symlink, as it is; name of the entry that a hard link is another name of. '' for other kinds. */
  readonly linkName: ByteString;
  /** For devices only. */
  readonly device: { readonly major: number; readonly minor: number } | undefined;
  /** Extended attributes, names with their namespace (`security.capability`), values as raw bytes. */
  readonly xattrs: ReadonlyMap<string, Uint8Array>;
};

/** Most that a reader takes of an archive from outside. */
export type TarLimits = {
  /** Bytes of a name or link target. */
  readonly name: number;
  /** Bytes of one extended header. */
  readonly pax: number;
  /** Bytes of one file's map of data regions. */
  readonly sparseMap: number;
  /** Extension headers before one entry. */
  readonly extensions: number;
  /** Global headers in one archive. */
  readonly globals: number;
};

export const tarLimits: TarLimits = { name: 4096, pax: 1 << 20, sparseMap: 1 << 20, extensions: 16, globals: 1024 };

/** Headers and contents fill whole blocks of this many bytes. */
export const blockSize = 512;

export const noAttributes: ReadonlyMap<string, Uint8Array> = new Map<string, Uint8Array>();
