/**
 * The caches of one build: the store's own records, and behind them what `--cache-from` names. Those are asked only when the goal is not known here,
 * and a hit there downloads nothing: its layers come when a step, or the image, needs the files. Whatever is wrong with them is a warning.
 */
import { chainIds, type ChainId } from '#formats/oci/layer-ids.ts';
import type { Report } from '#formats/progress/event.ts';
import type { Digest } from '#ground/base/digest.ts';
import { isCode, JettisonError, messageOf } from '#ground/base/errors.ts';
import { createSingleFlight } from '#ground/base/single-flight.ts';
import type { ExportedRecord } from '#execution/cache/exported.ts';
import type { CacheTrouble, ToldCache } from '#execution/builds/memory.ts';
import type { CacheKey } from '#execution/cache/key.ts';
import type { CacheRecord } from '#execution/cache/records.ts';
import type { CacheLookup, Result } from '#execution/solver/contract.ts';
import { parseSnapshotId, type SnapshotId } from '#execution/worker/contract.ts';
import type { ImportedCache } from './import-cache.ts';
import type { Engine } from './open.ts';
import type { BuildRequest } from './build-requests.ts';
import { isRemote, remoteResult, snapshotOf, snapshotResult } from './results.ts';

/** A result that lies in a cache elsewhere. */
export type RemoteResult = { readonly record: ExportedRecord; readonly cache: ImportedCache };

export type BuildCaches = {
  /** The store's records with the caches elsewhere behind them. */
  over(own: CacheLookup): CacheLookup;
  /** Reads the caches elsewhere, once. Gives whether there are any records. */
  load(signal: AbortSignal): Promise<boolean>;
  /** The files of a result, downloaded and unpacked where they are not here; undefined for an empty tree. Throws `engine/bad-cache` when that is impossible. */
  snapshotOf(result: Result, signal: AbortSignal): Promise<SnapshotId | undefined>;
  /** Where a result lies that is not here; undefined for one that is. */
  remoteOf(result: Result): RemoteResult | undefined;
  /** All keys that lead to the record, here or elsewhere. */
  keysOf(record: CacheRecord): readonly CacheKey[];
  /** What those say that were asked: of the builds that wrote them, and of what is wrong with them. Downloaded by the first who asks. */
  readonly told: () => Promise<readonly ToldCache[]>;
  /** Does the work; when a cache turns out to be bad, without that part of it once more. */
  withoutBad<T>(work: () => Promise<T>): Promise<T>;
};

/** So many bad layers, and nothing of a cache is trusted any more. */
const mostBad = 3;

type State = {
  loaded: Promise<readonly ImportedCache[]> | undefined;
  sources: readonly ImportedCache[];
  readonly dropped: Set<ImportedCache>;
  readonly bad: Map<ImportedCache, Set<Digest>>;
  readonly remote: Map<string, RemoteResult>;
  readonly ids: WeakMap<ExportedRecord, ChainId>;
  /** Keys of this build that lead to what is not here. */
  readonly links: Map<CacheKey, CacheRecord>;
  /** What is wrong with those that could not be used, by name; undefined: there is no cache. */
  readonly troubles: Map<string, CacheTrouble | undefined>;
  told: Promise<readonly ToldCache[]> | undefined;
};

export function createBuildCaches(
  engine: Engine,
  request: Pick<BuildRequest, 'cacheFrom' | 'cachePatience' | 'platforms'>,
  report: Report,
  building: AbortSignal,
): BuildCaches {
  const state: State = {
    loaded: undefined,
    sources: [],
    dropped: new Set(),
    bad: new Map(),
    remote: new Map(),
    ids: new WeakMap(),
    links: new Map(),
    troubles: new Map(),
    told: undefined,
  };
  const bringing = createSingleFlight<string, SnapshotId>();
  const remoteOf = (result: Result): RemoteResult | undefined => state.remote.get(result.id);

  const bring = async (remote: RemoteResult, signal: AbortSignal): Promise<SnapshotId> => {
    const { bringLayers } = await import('./bring-layers.ts');
    const snapshot = await bringLayers(engine, remote, { report, signal, onBad: (blob, error) => note(state, remote.cache, blob, error) });
    engine.database.transaction(() => keepBrought(engine, state));
    return snapshot;
  };

  return {
    remoteOf,
    over: (own) => ({
      find: (key) => own.find(key) ?? findLink(state, key) ?? findRemote(state, key),
      save: (key, record) => {
        if (!isRemote({ id: record.resultId })) return own.save(key, record);
        const known = own.find(key);
        if (known === undefined) state.links.set(key, record);
        return known ?? record;
      },
      replace: (key, record) => own.replace(key, record),
      // Nobody knows the shapes of keys elsewhere.
      knowsShape: (shape) => request.cacheFrom.length > 0 || own.knowsShape?.(shape) !== false,
      keepShape: (shape) => own.keepShape?.(shape),
    }),
    load: async (signal) => {
      if (request.cacheFrom.length === 0) return false;
      state.loaded ??= importAll(engine, { request, state }, report, signal);
      state.sources = await state.loaded;
      return state.sources.length > 0;
    },
    snapshotOf: async (result, signal) => {
      const remote = remoteOf(result);
      if (remote === undefined) return snapshotOf(result);
      return await bringing(result.id, async (own) => await bring(remote, own), signal);
    },
    keysOf: (record) => {
      const linked = linkedTo(state, record.resultId);
      const exported = remoteOf({ id: record.resultId })?.record.keys ?? [];
      return [...new Set([...engine.records.keysOf(record), ...exported, ...linked])].toSorted();
    },
    told: async () => {
      if (state.sources.length === 0 && state.troubles.size === 0) return [];
      const { tellOfCaches, withTroubles } = await import('./told-caches.ts');
      state.told ??= tellOfCaches(state.sources, building);
      return withTroubles(await state.told, state.troubles);
    },
    withoutBad: async (work) => {
      for (;;) {
        try {
          return await work();
        } catch (error) {
          if (!isCode(error, 'engine/bad-cache')) throw error;
          report({ kind: 'note', text: `Warning: ${error.message}. Going on without it` });
        }
      }
    },
  };
}

async function importAll(
  engine: Engine,
  { request, state }: { readonly request: Pick<BuildRequest, 'cacheFrom' | 'cachePatience' | 'platforms'>; readonly state: State },
  report: Report,
  signal: AbortSignal,
): Promise<readonly ImportedCache[]> {
  const { importCaches } = await import('./import-cache.ts');
  const { troubleOf } = await import('./told-caches.ts');
  const onUnusable = (name: string, why: JettisonError | string | undefined): void =>
    void state.troubles.set(name, typeof why === 'string' ? { kind: 'unreachable', message: why } : why && troubleOf(why));
  return await importCaches(engine, { ...request, onUnusable }, report, signal);
}

/** The store remembers what is here now: the results that were brought, and those below them in the same chains. */
function keepBrought(engine: Engine, state: State): void {
  for (const [id, { record }] of state.remote) {
    const chain = state.ids.get(record);
    const snapshot = chain && engine.images.snapshotOf(chain);
    if (snapshot === undefined) continue;
    const { keys, layers: _layers, ...rest } = record;
    const { id: resultId } = snapshotResult(parseSnapshotId(snapshot));
    for (const key of [...keys, ...linkedTo(state, id)]) engine.records.save(key, { ...rest, resultId });
    engine.records.touch([resultId], engine.now());
  }
}

function linkedTo(state: State, resultId: string): readonly CacheKey[] {
  return [...state.links].filter(([, link]) => link.resultId === resultId).map(([key]) => key);
}

function findLink(state: State, key: CacheKey): CacheRecord | undefined {
  const link = state.links.get(key);
  const remote = link && state.remote.get(link.resultId);
  return remote && isUsable(state, remote) ? link : undefined;
}

function findRemote(state: State, key: CacheKey): CacheRecord | undefined {
  for (const cache of state.sources) {
    const record = cache.find(key);
    if (record === undefined || !isUsable(state, { record, cache })) continue;
    const id = state.ids.get(record) ?? chainIds(record.layers.map(({ diffId }) => diffId)).at(-1);
    if (id === undefined) continue;
    state.ids.set(record, id);
    const resultId = remoteResult(id, record.key).id;
    const before = state.remote.get(resultId);
    if (before === undefined || !isUsable(state, before)) state.remote.set(resultId, { record, cache });
    return { resultId, key: record.key, createdAt: record.createdAt, cost: record.cost };
  }
  return undefined;
}

function isUsable({ dropped, bad }: State, { record, cache }: RemoteResult): boolean {
  if (dropped.has(cache)) return false;
  const blobs = bad.get(cache);
  return blobs === undefined || !record.layers.some(({ blob }) => blobs.has(blob.digest));
}

/** Remembers what is bad. Gives the error to end the work with. */
function note(state: State, cache: ImportedCache, blob: Digest, error: JettisonError): JettisonError {
  const blobs = state.bad.get(cache) ?? new Set();
  state.bad.set(cache, blobs.add(blob));
  const away = /^(?:registry|object)\/(?!not-found|wrong-)/u.test(error.code);
  if (away || blobs.size >= mostBad) state.dropped.add(cache);
  state.troubles.set(cache.name, { kind: away ? 'unreachable' : 'damaged', message: messageOf(error) });
  const what = away ? 'it cannot be read any more' : `its layer ${blob} cannot be used`;
  return new JettisonError('engine/bad-cache', `The cache ${cache.name} is not what it says: ${what}: ${messageOf(error)}`, {
    fault: 'environment',
    cause: error,
  });
}
