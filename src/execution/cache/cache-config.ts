/**
 * The document of an exported cache, in BuildKit's form (cache/remotecache/v1/spec.go): a forest of layers, and records that name a key and the layer
 * on top of its result. BuildKit's own keys are other ones, so it finds nothing here, and we find nothing in what it wrote; what is ours alone stands
 * in members that it passes over. Our keys are digests of all that they depend on, so that records need no links to each other.
 */
import * as v from 'valibot';
import { checkShape, parseJson, type Document } from '#ground/base/decode.ts';
import { isDigest, parseDigest, type Digest } from '#ground/base/digest.ts';
import { descriptorSchema, type Descriptor } from '#formats/oci/descriptor.ts';
import { configLimit } from '#formats/oci/image-config.ts';
import { chainIds } from '#formats/oci/layer-ids.ts';
import { exportedCache, type ExportedCache, type ExportedRecord, type RemoteLayer } from './exported.ts';
import { parseCacheKey, type CacheKey } from './key.ts';

export const cacheConfigType = 'application/vnd.buildkit.cacheconfig.v0';

/** Changes when keys are made otherwise, or the members mean something else: what has another number is not read. */
const version = 1;
const mostLayers = 20_000;
const mostRecords = 100_000;
const mostInChain = 1000;

const digest = v.custom<Digest>((value) => typeof value === 'string' && isDigest(value), 'Invalid digest');
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const place = v.pipe(v.number(), v.safeInteger(), v.minValue(-1));
const time = v.pipe(
  v.string(),
  v.check((text) => !Number.isNaN(Date.parse(text)), 'Invalid time'),
);
const head = v.looseObject({ jettison: v.exactOptional(v.looseObject({ version: v.number() })) });
const schema = v.looseObject({
  jettison: v.looseObject({ memory: v.exactOptional(descriptorSchema) }),
  layers: v.pipe(
    v.array(
      v.looseObject({
        blob: digest,
        parent: v.exactOptional(place),
        annotations: v.looseObject({
          diffID: digest,
          createdAt: time,
          mediaType: v.exactOptional(v.string()),
          size: v.exactOptional(count),
        }),
      }),
    ),
    v.maxLength(mostLayers),
  ),
  records: v.pipe(
    v.array(
      v.looseObject({
        digest,
        layers: v.pipe(v.array(v.looseObject({ layer: count, createdAt: time })), v.length(1)),
        jettison: v.looseObject({ key: digest, cost: count }),
      }),
    ),
    v.maxLength(mostRecords),
  ),
});

/** `memory`: the blob that tells what the steps were made of; undefined for none. */
export type DescribedCache = ExportedCache & { readonly memory: Descriptor | undefined };

/** The document, and each layer that it speaks of once, those below others first. `memory`: the blob that tells what the steps were made of. */
export function encodeCacheConfig(
  records: readonly ExportedRecord[],
  memory?: Descriptor,
): { readonly bytes: Uint8Array; readonly layers: readonly RemoteLayer[] } {
  const places = new Map<string, number>();
  const entries: object[] = [];
  const layers = new Map<Digest, RemoteLayer>();
  const placeOf = (chain: readonly RemoteLayer[]): number => {
    const ids = chainIds(chain.map(({ diffId }) => diffId));
    let parent = -1;
    chain.forEach((layer, index) => {
      // Another time is another entry: what is made of it says the time.
      const id = `${ids[index] ?? ''} ${parent} ${layer.createdAt}`;
      const known = places.get(id);
      if (known === undefined) {
        places.set(id, entries.length);
        layers.set(layer.blob.digest, layers.get(layer.blob.digest) ?? layer);
        entries.push({ blob: layer.blob.digest, parent, annotations: annotationsOf(layer) });
      }
      parent = known ?? entries.length - 1;
    });
    return parent;
  };
  const written = records.flatMap((record) => {
    const layer = placeOf(record.layers);
    return record.keys.map((key) => ({
      digest: key,
      layers: [{ layer, createdAt: timeText(record.createdAt) }],
      jettison: { key: record.key, cost: Math.round(record.cost) },
    }));
  });
  const own = { version, ...(memory === undefined ? {} : { memory }) };
  const bytes = new TextEncoder().encode(JSON.stringify({ layers: entries, records: written, jettison: own }));
  return { bytes, layers: [...layers.values()] };
}

function annotationsOf({ diffId, blob, createdAt }: RemoteLayer): object {
  return { mediaType: blob.mediaType, diffID: diffId, size: blob.size, createdAt: timeText(createdAt) };
}

/**
 * Reads what `encodeCacheConfig` wrote; `blobs` are the layers that the manifest names, or `'as said'`: what the document itself says of them, where
 * there is no manifest. undefined: another program, or another version, wrote it.
 * A record whose layers are not all among the blobs is left out. Throws `cache/bad-config`. `name` is for messages.
 */
export function decodeCacheConfig(bytes: Uint8Array, blobs: readonly Descriptor[] | 'as said', name: string): DescribedCache | undefined {
  const document: Document = { what: `the cache "${name}"`, code: 'cache/bad-config', limit: configLimit };
  const body = parseJson(bytes, document);
  if (checkShape(body, head, document).jettison?.version !== version) return undefined;
  const { layers, records, jettison: own } = checkShape(body, schema, document);
  const byDigest = blobs === 'as said' ? undefined : new Map(blobs.map((blob) => [blob.digest, blob]));
  const entries = layers.map(({ blob, parent = 0, annotations }) => {
    const descriptor = byDigest === undefined ? describe(blob, annotations) : byDigest.get(blob);
    const layer = descriptor && { diffId: annotations.diffID, blob: descriptor, createdAt: Date.parse(annotations.createdAt) };
    return { parent, layer };
  });
  const chains = new Map<number, readonly RemoteLayer[] | undefined>();
  const chainOf = (top: number): readonly RemoteLayer[] | undefined => {
    if (!chains.has(top)) chains.set(top, readChain(entries, top));
    return chains.get(top);
  };
  const found = new Map<string, { readonly record: ExportedRecord; readonly keys: CacheKey[] }>();
  for (const {
    digest: key,
    layers: [result],
    jettison,
  } of records) {
    const chain = result && chainOf(result.layer);
    if (chain === undefined || result === undefined) continue;
    const id = `${jettison.key} ${result.layer}`;
    const known = found.get(id);
    const keys = known?.keys ?? [];
    keys.push(parseCacheKey(key));
    const record = { key: parseCacheKey(jettison.key), createdAt: Date.parse(result.createdAt), cost: jettison.cost };
    if (known === undefined) found.set(id, { record: { ...record, keys, layers: chain }, keys });
  }
  return { ...exportedCache([...found.values()].map(({ record }) => record)), memory: own.memory };
}

/** undefined for a layer of which it is not said what it is. */
function describe(blob: Digest, { mediaType, size }: { readonly mediaType?: string; readonly size?: number }): Descriptor | undefined {
  const descriptor = { mediaType, digest: blob, size };
  return v.is(descriptorSchema, descriptor) ? descriptor : undefined;
}

/** undefined for a chain that is too long (or goes in a circle), or that lacks a layer. */
function readChain(
  entries: readonly { readonly parent: number; readonly layer: RemoteLayer | undefined }[],
  top: number,
): readonly RemoteLayer[] | undefined {
  const chain: RemoteLayer[] = [];
  for (let at = top; at !== -1;) {
    const entry = entries[at];
    if (entry?.layer === undefined || chain.length === mostInChain) return undefined;
    chain.push(entry.layer);
    at = entry.parent;
  }
  return chain.toReversed();
}

function timeText(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}

/** The DiffID of a layer as a cache's manifest annotates it. */
export function layerAnnotations({ diffId, createdAt }: RemoteLayer): Readonly<Record<string, string>> {
  return { 'buildkit/createdat': timeText(createdAt), 'containerd.io/uncompressed': parseDigest(diffId) };
}
