/** What is said between the pool and its threads. */
import type { ByteString } from '#ground/base/byte-string.ts';
import type { Digest } from '#ground/base/digest.ts';
import type { Needle } from '#ground/base/needles.ts';
import type { Fault } from '#ground/base/errors.ts';

export type LayerFormat = 'tar' | 'gzip' | 'zstd' | 'estargz';

/** `size`: bytes of all files, each inode once, as docker counts layers. */
export type LayerIdentity = { readonly diffId: Digest; readonly size: number };
/**
 * `digest` and `size` (bytes) of the file written, which is left in so many `segments`, if not in one. `estargz`: its table of contents makes it a layer of its own, with another DiffID
 * and size of its tar than those it was made of.
 */
export type LayerBlob = {
  readonly diffId: Digest;
  readonly digest: Digest;
  readonly size: number;
  readonly segments: number;
  readonly estargz?: { readonly tocDigest: Digest; readonly diffId: Digest; readonly size: number };
};

/** Most that is taken of a layer from outside. */
export type LayerLimits = {
  readonly entries: number;
  /** Bytes of the uncompressed tar, and of all files with their holes. */
  readonly size: number;
};

/** The snapshot that a layer is made of. */
export type LayerSource = {
  /** Its own folder. */
  readonly folder: string;
  /**
   * Folders of the snapshots below it, topmost first: deletions of what is not there are left out of the layer (on some kernels,
   * overlayfs marks every new folder as opaque). Not said: all deletions are kept that do not lie behind an opaque folder.
   */
  readonly below?: readonly string[];
  /** What may not stand in the layer's tar. */
  readonly needles?: readonly Needle[];
  /** No entry is younger: nanoseconds since the epoch. */
  readonly latest?: bigint;
};

/** A layer's blob that is written. */
type BlobJob = {
  readonly format: LayerFormat;
  readonly level?: number;
  readonly file: string;
  readonly passes: boolean;
  readonly width: number;
};

/**
 * Absolute paths. `asRoot`: the folder becomes the root of the tree itself, with its mode and time, and with `keepsOwners` all entries get the owners that they have in it; else
 * everything is this process's user's. `passes`: somebody takes the bytes on as they come, and the tar may be left in segments.
 */
export type ExportTarget =
  | { readonly kind: 'folder'; readonly path: string; readonly asRoot?: { readonly keepsOwners: boolean } }
  | { readonly kind: 'tar'; readonly file: string; readonly passes: boolean };

/** A chain of folders, topmost first (none: an empty tree), the folder that its files are put under, and what is said about them. */
export type ExportPart = { readonly folders: readonly string[]; readonly under?: ByteString; readonly notes?: readonly TreeNote[] };

/** A file that is put beside those of a tree: a statement about each of them. `predicate`: JSON. */
export type TreeNote = { readonly name: ByteString; readonly predicateType: string; readonly predicate: string };

/** `size`: bytes of the files, or of the tar, which was left in so many `segments`. */
export type Exported = { readonly entries: number; readonly size: number; readonly segments: number };

export type Job =
  | {
      readonly kind: 'export';
      readonly parts: readonly ExportPart[];
      readonly path: ByteString;
      readonly time?: bigint;
      readonly to: ExportTarget;
    }
  | (LayerSource & { readonly kind: 'identity' })
  | (LayerSource & BlobJob & { readonly kind: 'write' })
  | (BlobJob & { readonly kind: 'recompress'; readonly blob: string })
  | {
      readonly kind: 'apply';
      readonly file: string;
      readonly size?: number;
      readonly completeFile?: string;
      readonly diffId: Digest;
      readonly folder: string;
      /** Topmost first; `coming`: not all of them are complete yet. */
      readonly below: readonly string[] | 'coming';
      readonly limits: LayerLimits;
    };

/** `ownRoot`: the layer says what the root folder is like. `newest`: of its entries' times, nanoseconds since 1970. */
export type Unpacked = LayerIdentity & { readonly ownRoot: boolean; readonly newest: bigint };
type Results = {
  readonly export: Exported;
  readonly identity: LayerIdentity;
  readonly write: LayerBlob;
  readonly recompress: LayerBlob;
  readonly apply: Unpacked;
};
export type JobResult<K extends Job['kind']> = Results[K];

/**
 * Shared numbers by which a thread in the middle of its work is reached: at 0, 1 when the job must end; at 1, 1 when there is something to see for
 * whoever waits there: the end at 0, or the message with the folders below.
 */
export type Bell = Int32Array;
export type ToThread =
  | { readonly kind: 'job'; readonly job: Job; readonly bell: Bell }
  | { readonly kind: 'below'; readonly folders: readonly string[] };

export type FromThread =
  | { readonly kind: 'progress'; readonly bytes: number }
  /** It sleeps until it is told what lies below. */
  | { readonly kind: 'waiting' }
  | Answer;

/** The end of a job. */
export type Answer =
  | { readonly kind: 'done'; readonly result: JobResult<Job['kind']> }
  | { readonly kind: 'stopped' }
  | { readonly kind: 'failed'; readonly error: SentError };

/** A JettisonError without its class, which does not survive the way between threads. */
export type SentError = {
  readonly code: string;
  readonly message: string;
  readonly fault: Fault;
  readonly hint: string | undefined;
  readonly notes: readonly string[];
};

/** How a job hears of its end and tells how far it is. */
export type Watch = {
  /** Throws when the job must stop. */
  check(): void;
  /** Bytes so far. */
  progress(bytes: number): void;
  /** Folders below the layer, topmost first; sleeps until they are complete. Throws as `check`. */
  below(): readonly string[];
};
