/** Names of layers by their uncompressed bytes: OCI image spec, config.md, "Layer DiffID" and "Layer ChainID". */
import { digestOf, parseDigest, type Digest } from '#ground/base/digest.ts';

declare const brand: unique symbol;

/** Names a chain of layers, bottom first. */
export type ChainId = Digest & { readonly [brand]: 'ChainId' };

/** Digest of a layer's uncompressed tar. (Not branded: the worker's contract speaks of plain digests.) */
export type DiffId = Digest;

/** One ChainID for each layer, bottom first: the last one names the whole chain. Throws `base/bad-digest`. */
export function chainIds(diffIds: readonly string[]): readonly ChainId[] {
  const chain: ChainId[] = [];
  for (const text of diffIds) chain.push(chainAbove(chain.at(-1), parseDigest(text)));
  return chain;
}

/** The ChainID of a layer over the chain `below` (undefined: the lowest layer). */
export function chainAbove(below: ChainId | undefined, diffId: DiffId): ChainId {
  return mint(below === undefined ? diffId : digestOf(`${below} ${diffId}`));
}

function mint(digest: Digest): ChainId {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return digest as ChainId;
}
