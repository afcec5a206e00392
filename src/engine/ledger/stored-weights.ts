/** What a worker weighed, as it is kept beside an image, and the ledger of an image that is here. */
import { decodeImageConfig, type ImageConfig } from '#formats/oci/image-config.ts';
import { printPlatform } from '#formats/oci/platform.ts';
import { familiarReference, parseReference } from '#formats/oci/reference.ts';
import { parseDigest, type Digest } from '#ground/base/digest.ts';
import type { Weights } from '#execution/worker/contract.ts';
import type { StoredLedger } from '#stores/image/ledgers.ts';
import { openImageLedgers } from '#stores/image/ledgers.ts';
import type { ImageRecord } from '#stores/image/store.ts';
import { recordOf } from '../known-origins.ts';
import type { Engine } from '../open.ts';
import { partsOf, type KnownWeights } from './parts.ts';

type StoredWeights = NonNullable<StoredLedger['weights']>;

export function storedWeights({ steps, copies }: Weights): StoredWeights {
  return {
    steps: steps.map(({ made, wrote, carried }) => ({ made: made ?? null, wrote: wrote ?? null, carried })),
    copies: copies.map(({ step, from }) => ({ step, from: [...from] })),
  };
}

/** What was kept when it was built. */
export function keptLedger(engine: Engine, imageId: Digest): StoredLedger | undefined {
  return openImageLedgers(engine.database).of(imageId);
}

/** Of an image that loses a name: what the one that gets it will be compared with. */
export function beforeOf(engine: Engine, { imageId, layers }: ImageRecord, name: string): NonNullable<StoredLedger['before']> {
  const size = layers.reduce((sum, layer) => sum + layer.size, 0);
  const record = recordOf(engine, imageId);
  const weights: KnownWeights | null = keptLedger(engine, imageId)?.weights ?? null;
  const own = (record?.layers ?? []).reduce((sum, layer) => sum + layer.size, 0);
  return { name, image: imageId, size, parts: record === undefined ? null : [...partsOf(record, weights, size - own)] };
}

/** What of an image stands in its config, for `assembleLedger`. */
export function describeImage(engine: Engine, imageId: Digest, config: ImageConfig) {
  const names = (engine.images.get(imageId)?.names ?? []).map((name) => familiarReference(parseReference(name)));
  const words = (config.history ?? []).flatMap((entry) => (entry.empty_layer === true ? [] : [entry.created_by ?? '']));
  const sizeOf = (id: string): number | undefined => engine.images.get(parseDigest(id))?.layers.reduce((sum, layer) => sum + layer.size, 0);
  return { image: imageId, names, platform: printPlatform(config), words, sizeOf };
}

/** The same for an image that is in the store. */
export function describeStored(engine: Engine, { imageId, config }: ImageRecord) {
  return describeImage(engine, imageId, decodeImageConfig(config, imageId));
}
