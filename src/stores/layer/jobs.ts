/** What is said between the pool and its threads. */
import type { Digest } from '#ground/base/digest.ts';
import type { Fault } from '#ground/base/errors.ts';

export type LayerFormat = 'tar' | 'gzip' | 'zstd';

/** `size`: bytes of all files, each inode once, as docker counts layers. */
export type LayerIdentity = { readonly diffId: Digest; readonly size: number };
/** `digest` and `size` (bytes) of the file written. */
export type LayerBlob = { readonly diffId: Digest; readonly digest: Digest; readonly size: number };

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
};

export type Job =
  | (LayerSource & { readonly kind: 'identity' })
  | (LayerSource & {
      readonly kind: 'write';
      readonly format: LayerFormat;
      readonly level?: number;
      readonly file: string;
      readonly width: number;
    })
  | {
      readonly kind: 'apply';
      readonly file: string;
      readonly size?: number;
      readonly diffId: Digest;
      readonly folder: string;
      readonly below: readonly string[];
      readonly limits: LayerLimits;
    };

export type JobResult<K extends Job['kind']> = K extends 'write' ? LayerBlob : LayerIdentity;

/** `stop` holds one number that becomes 1 when the job must end. */
export type ToThread = { readonly job: Job; readonly stop: Int32Array };

export type FromThread = { readonly kind: 'progress'; readonly bytes: number } | Answer;

/** The end of a job. */
export type Answer =
  | { readonly kind: 'done'; readonly result: LayerIdentity | LayerBlob }
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
};
