/** `--cache-to`: what a build found or made, for builds in other stores. */
import type { Descriptor } from '#formats/oci/descriptor.ts';
import { parseReference } from '#formats/oci/reference.ts';
import type { Json } from '#ground/base/canonical-json.ts';
import { digestOf, type Digest } from '#ground/base/digest.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { createLimit } from '#ground/base/limit.ts';
import { assembleCacheManifest, type CacheManifest } from '#execution/cache/cache-manifest.ts';
import { findRun, type ExportedRecord, type RemoteLayer } from '#execution/cache/exported.ts';
import { inlineMember, type InlineRecord } from '#execution/cache/inline.ts';
import type { CacheWriting, Repository } from './cache-places/contract.ts';
import { openCacheDestination } from './cache-places/open.ts';
import {
  finalLayers,
  gatherAll,
  gatherResults,
  type BuiltResult,
  type Exporting,
  type GatheredLayer,
  type RemoteBlob,
} from './gather-cache.ts';
import { makeLayerBlob, presentBlob } from './layer-blobs.ts';
import type { Engine } from './open.ts';
import type { OutwardTarget } from './cache-requests.ts';

/** Throws what went wrong first, unless the target says that errors do not matter. */
export async function exportCaches(exporting: Exporting, targets: readonly OutwardTarget[], signal: AbortSignal): Promise<void> {
  for (const target of targets) await exportShown(exporting, target, signal);
}

/** The member of the image config for `type=inline`. `isTelling`: with what it was made of. */
export async function inlineCache(
  exporting: Exporting,
  { result, isTelling }: { readonly result: BuiltResult; readonly isTelling: boolean },
  signal: AbortSignal,
): Promise<{ readonly [name: string]: Json }> {
  const final = await finalLayers(exporting.engine, result, signal);
  const records = (await gatherResults(exporting, { result, mode: 'min' }, signal)).flatMap(
    ({ record, layers }): readonly InlineRecord[] => {
      const from = findRun(
        final,
        layers.map(({ diffId }) => diffId),
      );
      const keys = exporting.caches.keysOf(record);
      return from === undefined ? [] : [{ key: record.key, keys, from, to: from + layers.length, cost: record.cost }];
    },
  );
  return inlineMember(records, isTelling ? await exporting.memory('min', 'image') : undefined);
}

/** Shown as a step of its own. */
async function exportShown(exporting: Exporting, target: OutwardTarget, signal: AbortSignal): Promise<void> {
  const { engine, report } = exporting;
  const destination = await openCacheDestination(engine, target);
  if (destination.lacks !== undefined)
    return report({ kind: 'note', text: `Warning: the cache is not exported to ${destination.name}: ${destination.lacks}` });
  const text = destination.title;
  const vertex = digestOf(`${text} ${JSON.stringify(target)}`);
  const say = (line: string): void => report({ kind: 'output', vertex, stream: 'stdout', text: `${line}\n`, time: engine.now() });
  report({ kind: 'vertex', vertex, text });
  report({ kind: 'vertex-started', vertex, time: engine.now() });
  try {
    say('preparing build cache for export');
    const made = await pack(exporting, target, signal);
    await destination.write({ ...made, openBlob: readerOf(engine, made), knownAt: knownPlaces(exporting, made), say }, signal);
    report({ kind: 'vertex-finished', vertex, time: engine.now() });
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof JettisonError)) throw error;
    report({ kind: 'vertex-failed', vertex, time: engine.now(), message: error.message, cancelled: false });
    if (!target.ignoreError || error.fault === 'bug') throw error.with({ hint: 'With "ignore-error=true" this would be a warning' });
    report({ kind: 'note', text: `Warning: the cache was not exported to ${destination.name}: ${error.message}` });
  }
}

type Packed = { readonly manifest: CacheManifest; readonly remote: ReadonlyMap<Digest, RemoteBlob> };

/** Gives every layer a blob: as it lies in the store, as it lies elsewhere, or made now. */
async function pack(exporting: Exporting, target: OutwardTarget, signal: AbortSignal): Promise<Packed> {
  const { engine, caches, guard } = exporting;
  const gathered = await gatherAll(exporting, target.mode, signal);
  const limit = createLimit(2);
  const blobs = new Map<Digest, Promise<Descriptor>>();
  const remote = new Map<Digest, RemoteBlob>();
  const blobOf = async ({ diffId, place }: GatheredLayer): Promise<Descriptor> => {
    const present = presentBlob(engine, diffId, { format: target.compression });
    if (present !== undefined) return present;
    if ('snapshot' in place) {
      const layer = { diffId, snapshot: place.snapshot, format: target.compression, needles: guard.needles() };
      return await limit(async () => await makeLayerBlob(engine, layer, () => undefined, signal), signal);
    }
    remote.set(place.blob.digest, place);
    return { mediaType: place.blob.mediaType, digest: place.blob.digest, size: place.blob.size };
  };
  const packLayer = async (layer: GatheredLayer): Promise<RemoteLayer> => {
    const blob = blobs.get(layer.diffId) ?? blobOf(layer);
    blobs.set(layer.diffId, blob);
    return { diffId: layer.diffId, createdAt: layer.createdAt, blob: await blob };
  };
  const records = await Promise.all(
    gathered.map(async ({ record, layers }): Promise<ExportedRecord> => {
      const { key, createdAt, cost } = record;
      return { key, createdAt, cost, keys: caches.keysOf(record), layers: await Promise.all(layers.map(packLayer)) };
    }),
  );
  const memory = target.isTelling ? await exporting.memory(target.mode, 'cache') : undefined;
  return { manifest: assembleCacheManifest(records, target, memory), remote };
}

/** Blobs as they lie in the store; those that lie elsewhere are fetched before. */
function readerOf(engine: Engine, { manifest, remote }: Packed): CacheWriting['openBlob'] {
  return async function* (digest, offset, signal) {
    const place = remote.get(digest);
    if (place !== undefined) await place.cache.fetch(place.blob, () => undefined, signal);
    const document = [manifest.config, manifest.memory].find((one) => one?.descriptor.digest === digest);
    if (document !== undefined) yield document.bytes.subarray(offset);
    else yield* engine.content.openStream(digest, offset, signal);
  };
}

/** Repositories that may have the layers. */
function knownPlaces({ engine, results, request }: Exporting, { remote }: Packed): readonly Repository[] {
  const bases = results.flatMap(({ drafted: { baseImage } }) => (baseImage && engine.images.find(baseImage.shown)) ?? []);
  const known = bases.flatMap((base) => engine.images.manifestsOf(base.imageId).map((one) => parseReference(one.repository)));
  const tagged = request.tags.map((tag) => parseReference(tag));
  const caches = [...remote.values()].flatMap(({ cache }) => cache.repository ?? []);
  return [...caches, ...known, ...tagged];
}
