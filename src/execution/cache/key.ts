/** Cache keys: digests that find a result. Structured before they are hashed, so that two keys can be compared part by part. */
import { canonicalJson } from '#ground/base/canonical-json.ts';
import { digestOf, parseDigest, type Digest } from '#ground/base/digest.ts';

declare const brand: unique symbol;
export type CacheKey = string & { readonly [brand]: 'CacheKey' };

/** One input of a key: what stands for the input's whole result, or the digest of what is read from it. */
export type KeyInput = { readonly result: CacheKey } | { readonly content: CacheKey };
export type KeyParts = { readonly base: Digest; readonly inputs: readonly KeyInput[] };

export function cacheKey(parts: KeyParts): CacheKey {
  return mint(digestOf(canonicalJson({ base: parts.base, inputs: [...parts.inputs] })));
}

/**
 * What a key is but for contents that are not known yet (undefined): inputs that are never cached say nothing else. Where no record was ever kept under a key of
 * this shape, none can be found, whatever the contents are.
 */
export function shapeOf({ base, inputs }: { readonly base: Digest; readonly inputs: readonly (KeyInput | undefined)[] }): CacheKey {
  return mint(digestOf(canonicalJson({ shape: base, inputs: inputs.map((input) => input ?? null) })));
}

/** A key from where it was kept. Throws `base/bad-digest`. */
export function parseCacheKey(text: string): CacheKey {
  return mint(parseDigest(text));
}

/** A digest of content used as a key. */
export function contentKeyOf(digest: Digest): CacheKey {
  return mint(digest);
}

function mint(text: string): CacheKey {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return text as CacheKey;
}
