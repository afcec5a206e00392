/**
 * A cache inside the image that it is of (`type=inline`): a member of the image config that says which keys lead to which of the image's layers.
 * It is not BuildKit's member: that one names blobs, which do not exist when an image gets its id here.
 */
import * as v from 'valibot';
import type { Json } from '#ground/base/canonical-json.ts';
import { checkShape, type Document } from '#ground/base/decode.ts';
import { fromBase64, toBase64 } from '#ground/base/bytes.ts';
import { isDigest, type Digest } from '#ground/base/digest.ts';
import type { Descriptor } from '#formats/oci/descriptor.ts';
import { configLimit, diffIdsOf, type ImageConfig } from '#formats/oci/image-config.ts';
import { exportedCache, type ExportedCache } from './exported.ts';
import { inlineMembers } from './inline-members.ts';
import { parseCacheKey, type CacheKey } from './key.ts';

const { own: member } = inlineMembers;
const mostRecords = 20_000;
/** Characters: three bytes are four. */
const mostMemory = 64 * 1024;

/** A result that is a run of the image's layers: `from` the lowest, up to but not with `to`. */
export type InlineRecord = {
  readonly key: CacheKey;
  readonly keys: readonly CacheKey[];
  readonly from: number;
  readonly to: number;
  /** Milliseconds. */
  readonly cost: number;
};

const digest = v.custom<Digest>((value) => typeof value === 'string' && isDigest(value), 'Invalid digest');
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const schema = v.looseObject({
  [member]: v.exactOptional(
    v.looseObject({
      records: v.pipe(
        v.array(v.looseObject({ key: digest, keys: v.array(digest), from: count, to: count, cost: count })),
        v.maxLength(mostRecords),
      ),
      memory: v.exactOptional(v.pipe(v.string(), v.base64(), v.maxLength(mostMemory))),
    }),
  ),
});

/** The member of the config. `memory`: what it tells of its steps. */
export function inlineMember(records: readonly InlineRecord[], memory: Uint8Array | undefined): { readonly [name: string]: Json } {
  return {
    [member]: {
      ...(memory === undefined ? {} : { memory: toBase64(memory) }),
      records: records.map(({ key, keys, from, to, cost }) => ({ key, keys: keys.toSorted(), from, to, cost: Math.round(cost) })),
    },
  };
}

export type InlineCache = { readonly cache: ExportedCache; readonly memory: Uint8Array | undefined };

/** What an image says of its own layers; undefined when it says nothing. `blobs`: its layers, bottom first. Throws `cache/bad-config`. */
export function decodeInline(config: ImageConfig, blobs: readonly Descriptor[], name: string): InlineCache | undefined {
  const document: Document = { what: `the cache in the image "${name}"`, code: 'cache/bad-config', limit: configLimit };
  const found = checkShape(config, schema, document)[member];
  if (found === undefined) return undefined;
  const times = layerTimes(config);
  const layers = diffIdsOf(config).flatMap((diffId, index) => {
    const blob = blobs[index];
    return blob === undefined ? [] : [{ diffId, blob, createdAt: times[index] ?? 0 }];
  });
  const records = found.records.flatMap(({ key, keys, from, to, cost }) => {
    const chain = layers.slice(from, to);
    const top = chain.at(-1);
    if (top === undefined || chain.length !== to - from) return [];
    return [{ key: parseCacheKey(key), keys: keys.map(parseCacheKey), layers: chain, createdAt: top.createdAt, cost }];
  });
  return {
    cache: exportedCache(records),
    memory: found.memory === undefined ? undefined : fromBase64(found.memory),
  };
}

/** When each layer was made, by the image's history. */
function layerTimes(config: ImageConfig): readonly number[] {
  return (config.history ?? [])
    .filter((entry) => entry.empty_layer !== true)
    .map(({ created }) => {
      const time = Date.parse(created ?? '');
      return Number.isNaN(time) ? 0 : time;
    });
}
