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
  /** Blobs that the repository is known to have, because they were pushed just now: it is not asked again. */
  readonly present?: ReadonlySet<Digest>;
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
  const { present } = request;
  const blobs = distinct(request.blobs).filter(({ digest }) => present?.has(digest) !== true);
  const uploads = blobs.map(async (blob) => await limit(async () => await pushBlob(request, blob, report, own.signal), own.signal));
  for (const upload of uploads) upload.catch((error: unknown) => own.abort(error instanceof Error ? error : new Error(String(error))));
  const settled = await Promise.allSettled(uploads);
  if (settled.some(({ status }) => status === 'rejected')) throw own.signal.reason;
  return await request.client.putManifest(request.reference, request.manifest, signal);
}

export type PushBlobRequest = Pick<PushRequest, 'reference' | 'openBlob' | 'client' | 'mountFrom'>;

/** One blob, unless the repository has it: mounted from another one where possible. Throws as `pushImage`. */
export async function pushBlob(request: PushBlobRequest, blob: Descriptor, report: Report, signal: AbortSignal): Promise<void> {
  const { reference, client } = request;
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
      mountFrom: otherRepositories(request),
    },
    signal,
  );
  tell(blob.size, end === 'mounted' ? 'mounted' : 'done');
}

/** A blob whose bytes are not at hand: whether the repository has it, perhaps since now, mounted from another one. Throws `registry/...`. */
export async function findBlob(request: PushBlobRequest, blob: Descriptor, report: Report, signal: AbortSignal): Promise<boolean> {
  const { reference, client } = request;
  const from = otherRepositories(request);
  const state = (await client.hasBlob(reference, blob.digest, signal))
    ? 'exists'
    : (await client.mountBlob(reference, { digest: blob.digest, mountFrom: from }, signal))
      ? 'mounted'
      : undefined;
  if (state === undefined) return false;
  report({ kind: 'transfer', direction: 'push', item: blob.digest, current: blob.size, total: blob.size, state });
  return true;
}

function otherRepositories({ mountFrom, reference }: PushBlobRequest): readonly string[] {
  return (mountFrom ?? []).filter((repository) => repository !== reference.repository);
}

export type GrowingBlob = {
  /** What it is called while its digest is not known: its layer's DiffID. */
  readonly item: string;
  /** The bytes from `offset` on, up to the end of the complete blob; asked for again when a connection breaks. */
  open(offset: number, signal: AbortSignal): AsyncIterable<Uint8Array>;
  readonly complete: Promise<{ readonly digest: Digest; readonly size: number }>;
};

/** A blob that is still made: nobody can ask whether the repository has it, so it is sent. Throws `registry/...` and what `open` and `complete` throw. */
export async function pushGrowingBlob(
  request: Pick<PushRequest, 'reference' | 'client'>,
  blob: GrowingBlob,
  report: Report,
  signal: AbortSignal,
): Promise<void> {
  const tell = (current: number, total: number, state: TransferProgress['state']): void =>
    report({ kind: 'transfer', direction: 'push', item: blob.item, current, total, state });
  const onProgress = createMeter((sent) => tell(sent, 0, 'running'));
  await request.client.uploadGrowingBlob(
    request.reference,
    { open: (offset, own) => blob.open(offset, own), complete: blob.complete, onProgress },
    signal,
  );
  const { size } = await blob.complete;
  tell(size, size, 'done');
}

/** Each blob once; those whose media type forbids pushing them (foreign layers) stay where they are. */
function distinct(blobs: readonly Descriptor[]): readonly Descriptor[] {
  const foreign = /nondistributable|foreign/u;
  return [...new Map(blobs.filter((blob) => !foreign.test(blob.mediaType)).map((blob) => [blob.digest, blob])).values()];
}
