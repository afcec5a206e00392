/** Pulls an image: manifest, config and layers into the content store. */
import { childSignal } from '#ground/base/abort.ts';
import type { Descriptor } from '#formats/oci/descriptor.ts';
import type { Report } from '#formats/progress/event.ts';
import { fetchBlob, type BlobPart } from './fetch-blob.ts';
import { resolveImage, type RemoteImage, type ResolveRequest } from './resolve.ts';

export type PullRequest = ResolveRequest & {
  /** Called for each layer, bottom first, one after the other, as soon as its bytes begin to come, or its blob is there. */
  readonly onLayer?: (layer: ComingLayer, signal: AbortSignal) => Promise<void>;
};

export type ComingLayer = {
  readonly index: number;
  readonly descriptor: Descriptor;
  /** While the blob comes: the file that grows. undefined when it is there, or another process fetches it. */
  readonly part: BlobPart | undefined;
  /** Path of the blob in the content store, once it is there. Whoever reads it must check its digest or its DiffID. */
  readonly complete: Promise<string>;
};

/** The image's documents, once all of its blobs are in the store and `onLayer` was called for all. Throws `registry/...`, `oci/...`, `content/no-space`, `transfer/...`. */
export async function pullImage(request: PullRequest, report: Report, signal: AbortSignal): Promise<RemoteImage> {
  const image = await resolveImage(request, signal);
  await pullLayers(image, request, report, signal);
  return image;
}

/** The layers of an image that `resolveImage` found before. */
export async function pullLayers(
  image: RemoteImage,
  request: Omit<PullRequest, 'reference' | 'platform'>,
  report: Report,
  signal: AbortSignal,
): Promise<void> {
  using own = childSignal(signal);
  const source = { reference: image.reference, client: request.client, content: request.content };
  const begun = image.layers.map(() => Promise.withResolvers<BlobPart | undefined>());
  const downloads = image.layers.map(async (layer, index) => {
    try {
      await fetchBlob({ ...source, onPart: (part) => begun[index]?.resolve(part) }, layer, report, own.signal);
    } finally {
      begun[index]?.resolve(undefined);
    }
    return request.content.path(layer.digest);
  });
  // The first failure is the one to tell, and ends the others.
  for (const download of downloads)
    download.catch((error: unknown) => own.abort(error instanceof Error ? error : new Error(String(error))));
  try {
    for (const [index, complete] of downloads.entries()) {
      const part = await begun[index]?.promise;
      const descriptor = image.layers[index];
      if (descriptor) await request.onLayer?.({ index, descriptor, part, complete }, own.signal);
    }
    await Promise.all(downloads);
  } catch (error) {
    const first: unknown = own.signal.aborted ? own.signal.reason : error;
    own.abort(error instanceof Error ? error : new Error(String(error)));
    await Promise.allSettled(downloads);
    throw first;
  }
}
