/** The manifest that an image came with, where all of its blobs are here still: written again byte for byte, the image keeps its digest. */
import { decodeImageDocument } from '#formats/oci/manifest.ts';
import type { Descriptor } from '#formats/oci/descriptor.ts';
import type { Digest } from '#ground/base/digest.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { OriginalManifest } from '#stores/image/originals.ts';
import type { ImageRecord } from '#stores/image/store.ts';
import type { Engine } from './open.ts';

export type Original = { readonly manifest: OriginalManifest; readonly layers: readonly Descriptor[] };

/** undefined for an image that was made here, or of which a layer's blob is gone. `wanted`: that very manifest. */
export function originalManifest(engine: Engine, record: ImageRecord, wanted?: Digest): Original | undefined {
  const known = engine.images.manifestsOf(record.imageId).map(({ manifest, mediaType, bytes }) => ({ digest: manifest, mediaType, bytes }));
  const candidates = [...engine.originals.of(record.imageId), ...known.toReversed()];
  for (const manifest of candidates) {
    if (wanted !== undefined && manifest.digest !== wanted) continue;
    const layers = layersOf(engine, record, manifest);
    if (layers !== undefined) return { manifest, layers };
  }
  return undefined;
}

/** Its layers when each is a blob that came from elsewhere: what was made here may be made in another form now. */
function layersOf(engine: Engine, record: ImageRecord, { digest, mediaType, bytes }: OriginalManifest): readonly Descriptor[] | undefined {
  const document = decodeOrNothing(bytes, mediaType, digest);
  if (document?.kind !== 'manifest' || document.manifest.config.digest !== record.imageId) return undefined;
  const { layers } = document.manifest;
  if (layers.length !== record.layers.length) return undefined;
  const isHere = layers.every((layer, at) => {
    const diffId = record.layers[at]?.diffId;
    const forms = diffId === undefined ? [] : engine.images.blobsOf(diffId);
    return forms.some((form) => form.digest === layer.digest && !form.madeHere) && engine.content.has(layer.digest, layer.size);
  });
  return isHere ? layers : undefined;
}

function decodeOrNothing(bytes: Uint8Array, mediaType: string, name: string) {
  try {
    return decodeImageDocument(bytes, [mediaType], name);
  } catch (error) {
    if (error instanceof JettisonError) return undefined;
    throw error;
  }
}
