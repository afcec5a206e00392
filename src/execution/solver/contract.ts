/** All that the solver knows of the world. It knows nothing of containers, files or registries. */
import type { Claims } from '#execution/cache/claims.ts';
import type { CacheKey, KeyParts } from '#execution/cache/key.ts';
import type { CacheRecord } from '#execution/cache/records.ts';
import type { Edge, Vertex } from '#formats/graph/vertex.ts';
import type { Digest } from '#ground/base/digest.ts';

/** What running a vertex gives; opaque to the solver. `id` is what the cache keeps. */
export type Result = { readonly id: string };

export type OpDriver = {
  /** What the op itself contributes to its definition key: for an image source the manifest, else the digest of the op. */
  cacheBase(signal: AbortSignal): Promise<Digest>;
  /**
   * The digest of exactly those bytes, names and modes that the op reads from input `index`; undefined when it may read anything.
   * It is only called with a result at hand, so it may be dear. For an input whose own driver has caching `never` it must give a key.
   */
  contentKey?(index: number, result: Result, signal: AbortSignal): Promise<CacheKey | undefined>;
  /** May `contentKey` give a key for this input? Left out: it may. */
  readsContent?(index: number): boolean;
  /** Throws when the op cannot run with what this build was given. Asked before anything runs, of what is certain to run; `run` has to throw as well. */
  check?(): void;
  /**
   * `by-definition`: results are found and kept by key. `never`: the op costs nothing (a folder of the client) and says nothing by its
   * definition: it is always run, and whoever reads it is keyed by `contentKey` alone.
   */
  readonly caching: 'by-definition' | 'never';
  run(inputs: readonly Result[], signal: AbortSignal): Promise<Result>;
  /**
   * For an op that takes the keys of what it reads while it runs, where asking before would be dear: `results` has the results of the inputs that are never cached. Throws what
   * `contentKey` would say of things that are not there.
   */
  mayRunUnkeyed?(results: readonly (Result | undefined)[]): boolean;
  /** As `run`; gives for each input that is never cached the key that `contentKey` would have given. */
  runUnkeyed?(inputs: readonly Result[], signal: AbortSignal): Promise<UnkeyedRun>;
};

export type UnkeyedRun = { readonly result: Result; readonly contents: readonly (CacheKey | undefined)[] };

export type DriverFor = (vertex: Vertex) => OpDriver;

/** Synchronous, because it is SQLite and stands on the path of a build in which nothing runs. */
export type CacheLookup = {
  find(key: CacheKey): CacheRecord | undefined;
  /** The first record kept under a key stays: two builds may have run the same op at the same time. Gives the one that stays. */
  save(key: CacheKey, record: CacheRecord): CacheRecord;
  /** Puts the record in the place of another one: its vertex was run although its result was known. */
  replace(key: CacheKey, record: CacheRecord): void;
  /** May a record be found under a key of this shape (`shapeOf`)? Left out: it may. */
  knowsShape?(shape: CacheKey): boolean;
  /** A record was found or kept under a key of this shape. */
  keepShape?(shape: CacheKey): void;
};

/** Told what becomes of each vertex as soon as it is known, also in a build that fails later. Neither call may throw. */
export type SolveObserver = {
  /** The vertex is about to run: nothing was found by these keys. */
  missed(vertex: Vertex, lookedUpBy: readonly KeyParts[]): void;
  solved(vertex: Vertex, solved: SolvedVertex): void;
};

export type SolveRequest = {
  /** One for each thing that is wanted; one at least. */
  readonly goals: readonly Edge[];
  readonly driverFor: DriverFor;
  readonly cache: CacheLookup;
  /** Asked once, and only when the result of a goal is not known: may let `cache` find more (of a cache elsewhere). Gives whether it did. */
  readonly moreRecords?: (signal: AbortSignal) => Promise<boolean>;
  /** How many ops may run at once. */
  readonly jobs: number;
  /** Milliseconds that steps took in earlier builds, by their words; asked for when more must run than may at once. */
  readonly costs?: () => ReadonlyMap<string, number>;
  /** Who runs what, where other builds share the cache. */
  readonly claims?: Claims;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly observer?: SolveObserver;
  /** Told of what has no known result, inputs first, when all that can be checked before has been: it is about to run, but for what turns out to be known by its content. */
  readonly onMissing?: (vertices: readonly Vertex[]) => void;
};

/** What became of one vertex that the goal needs. */
export type SolvedVertex = {
  /** `skipped`: neither run nor known, because the result of what reads it was known. */
  readonly state: 'cached' | 'ran' | 'skipped';
  readonly result?: Result;
  readonly record?: CacheRecord;
  /** What stands for the result in the keys of what is built on it; absent for an op that is never cached. */
  readonly key?: CacheKey;
  /** What the vertex was looked up by, part by part: the definition key, then the content key where there is one. */
  readonly lookedUpBy: readonly KeyParts[];
};

export type Solved = { readonly results: readonly Result[]; readonly vertices: ReadonlyMap<Digest, SolvedVertex> };
