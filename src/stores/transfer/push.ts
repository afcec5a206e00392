/** Pushes an image: what the registry lacks, and the manifest last, so that a tag never names what is not all there. */
import { childSignal } from '#ground/base/abort.ts';
import type { Digest } from '#ground/base/digest.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { createLimit } from '#ground/base/limit.ts';
import type { Descriptor } from '#formats/oci/descriptor.ts';
import { decodeImageDocument } from '#formats/oci/manifest.ts';
import { isConfigType } from '#formats/oci/media-types.ts';
import { printReference, withDefaultTag, type Reference } from '#formats/oci/reference.ts';
import type { Report, TransferProgress } from '#formats/progress/event.ts';
import type { RegistryClient } from '#stores/registry/client.ts';
import { createMeter } from './blobs/meter.ts';

export type PushRequest = {
  readonly reference: Reference;
  /** The document, byte for byte. */
  readonly manifest: { readonly bytes: Uint8Array; readonly mediaType: string };
  /** The bytes of a blob from `offset` on; asked for again when a connection breaks. `content.openStream` has this form. */
  readonly openBlob: (digest: Digest, offset: number, signal: AbortSignal) => AsyncIterable<Uint8Array>;
  readonly client: RegistryClient;
  /** Repositories of the same registry that may have the layers: they are mounted from there where possible. */
  readonly mountFrom?: readonly string[];
};

const atOnce = 4;

/** Pushes an image. Gives the descriptor of the manifest as pushed. Throws `registry/...`, `content/corrupt`; the tag stays as it was then. */
export async function pushImage(given: PushRequest, report: Report, signal: AbortSignal): Promise<Descriptor> {
  const request = { ...given, reference: withDefaultTag(given.reference) };
  const { bytes, mediaType } = request.manifest;
  const document = decodeImageDocument(bytes, [mediaType], printReference(request.reference));
  if (document.kind === 'index') {
    throw new JettisonError('transfer/index-push', 'Cannot push an image index: only single images are pushed so far');
  }
  return await pushDocument({ ...request, blobs: [...document.manifest.layers, document.manifest.config] }, report, signal);
}

/** Pushes any manifest or index with the blobs that it names. Throws like `pushImage`. */
export async function pushDocument(
  given: PushRequest & { readonly blobs: readonly Descriptor[] },
  report: Report,
  signal: AbortSignal,
): Promise<Descriptor> {
  const request = { ...given, reference: withDefaultTag(given.reference) };
  using own = childSignal(signal);
  const limit = createLimit(atOnce);
  const blobs = distinct(request.blobs);
  const uploads = blobs.map(async (blob) => await limit(async () => await pushBlob(request, blob, report, own.signal), own.signal));
  for (const upload of uploads) upload.catch((error: unknown) => own.abort(error instanceof Error ? error : new Error(String(error))));
  const settled = await Promise.allSettled(uploads);
  if (settled.some(({ status }) => status === 'rejected')) throw own.signal.reason;
  return await request.client.putManifest(request.reference, request.manifest, signal);
}

async function pushBlob(request: PushRequest, blob: Descriptor, report: Report, signal: AbortSignal): Promise<void> {
  const { reference, client, mountFrom } = request;
  const tell = (current: number, state: TransferProgress['state']): void => {
    if (!isConfigType(blob.mediaType)) report({ kind: 'transfer', direction: 'push', item: blob.digest, current, total: blob.size, state });
  };
  tell(0, 'waiting');
  if (await client.hasBlob(reference, blob.digest, signal)) return tell(blob.size, 'exists');
  const end = await client.uploadBlob(
    reference,
    {
      digest: blob.digest,
      size: blob.size,
      open: (offset, own) => request.openBlob(blob.digest, offset, own),
      onProgress: createMeter((sent) => tell(sent, 'running')),
      mountFrom: (mountFrom ?? []).filter((repository) => repository !== reference.repository),
    },
    signal,
  );
  tell(blob.size, end === 'mounted' ? 'mounted' : 'done');
}

/** Each blob once; those whose media type forbids pushing them (foreign layers) stay where they are. */
function distinct(blobs: readonly Descriptor[]): readonly Descriptor[] {
  const foreign = /nondistributable|foreign/u;
  return [...new Map(blobs.filter((blob) => !foreign.test(blob.mediaType)).map((blob) => [blob.digest, blob])).values()];
}
