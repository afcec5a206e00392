/** Pulls an image: manifest, config and layers into the content store. */
import { childSignal } from '#ground/base/abort.ts';
import type { Descriptor } from '#formats/oci/descriptor.ts';
import type { Report } from '#formats/progress/event.ts';
import { fetchBlob } from './fetch-blob.ts';
import { resolveImage, type RemoteImage, type ResolveRequest } from './resolve.ts';

export type PullRequest = ResolveRequest & {
  /** Called for each layer, bottom first, one after the other, as soon as its blob is there, while others still come. */
  readonly onLayer?: (layer: ArrivedLayer, signal: AbortSignal) => Promise<void>;
};

export type ArrivedLayer = {
  readonly index: number;
  readonly descriptor: Descriptor;
  /** The blob in the content store. Whoever reads it must check its digest or its DiffID. */
  readonly path: string;
};

/** The image's documents, once all of its blobs are in the store and `onLayer` is done. Throws `registry/...`, `oci/...`, `content/no-space`, `transfer/...`. */
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
  const downloads = image.layers.map(async (layer) => await fetchBlob(source, layer, report, own.signal));
  // The first failure is the one to tell, and ends the others.
  for (const download of downloads)
    download.catch((error: unknown) => own.abort(error instanceof Error ? error : new Error(String(error))));
  try {
    for (const [index, download] of downloads.entries()) {
      await download;
      const descriptor = image.layers[index];
      if (descriptor) await request.onLayer?.({ index, descriptor, path: request.content.path(descriptor.digest) }, own.signal);
    }
  } catch (error) {
    const first: unknown = own.signal.aborted ? own.signal.reason : error;
    own.abort(error instanceof Error ? error : new Error(String(error)));
    await Promise.allSettled(downloads);
    throw first;
  }
}
