/** What importing and exporting need of a place where caches lie: a registry, a folder, a service. A further kind is a file beside this one and a line in open.ts. */
import type { CacheManifest } from '#execution/cache/cache-manifest.ts';
import type { ExportedCache } from '#execution/cache/exported.ts';
import type { Descriptor } from '#formats/oci/descriptor.ts';
import type { Report } from '#formats/progress/event.ts';
import type { Digest } from '#ground/base/digest.ts';

/** A repository of a registry: `ghcr.io`, `owner/app`. */
export type Repository = { readonly registry: string; readonly repository: string };

/** What was read of a cache: its records. Its layers come when they are asked for. */
export type ReadCache = ExportedCache & {
  /** Of a cache in a registry: what is pushed there need not be downloaded before. */
  readonly repository: Repository | undefined;
  /** Brings a layer's blob into the content store. Throws `registry/...`, `content/...`, `cache/...`. */
  fetch(blob: Descriptor, report: Report, signal: AbortSignal): Promise<void>;
  /** What it tells of its steps, packed; undefined for nothing. Throws like `fetch`, and `builds/bad-memory`. */
  readMemory(signal: AbortSignal): Promise<Uint8Array | undefined>;
};

/** A cache to read. */
export type CacheOrigin = {
  /** As people know it. */
  readonly name: string;
  /** Why nothing can be read here, though nobody is at fault; it is left aside then, with a warning. */
  readonly lacks?: string | undefined;
  /** What it lacks was said when the build began. */
  readonly isTold?: true;
  /** How long its user is willing to wait for what it has, in milliseconds; undefined: as for any. */
  readonly patience?: number | undefined;
  /** Reads its documents, no layer; undefined for what is no cache that this version can use. Throws errors of the place. */
  read(signal: AbortSignal): Promise<ReadCache | undefined>;
};

/** A cache that is to be written. */
export type CacheWriting = {
  readonly manifest: CacheManifest;
  /** The bytes of one of its layers, or of its documents, from `offset` on; checked, and asked for again when a connection breaks. */
  readonly openBlob: (digest: Digest, offset: number, signal: AbortSignal) => AsyncIterable<Uint8Array>;
  /** Where its layers may lie already, most likely first. */
  readonly knownAt: readonly Repository[];
  /** Tells people, in a line, what has been done. */
  readonly say: (line: string) => void;
};

/** A place to write a cache to. */
export type CacheDestination = {
  /** As people know it. */
  readonly name: string;
  /** What writing there is called as a step. */
  readonly title: string;
  /** As of `CacheOrigin`. */
  readonly lacks?: string | undefined;
  /** What lay there under the same name stays until all of the new is there. Throws errors of the place. */
  write(writing: CacheWriting, signal: AbortSignal): Promise<void>;
};
