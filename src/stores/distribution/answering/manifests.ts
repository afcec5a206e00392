/** Manifests: OCI distribution spec, "Pulling manifests", "Pushing Manifests", "Deleting Manifests", "Deleting tags". */
import { joinBytes } from '#ground/base/bytes.ts';
import { algorithmOf, createDigester, isDigest, type Digest } from '#ground/base/digest.ts';
import { isCode, JettisonError } from '#ground/base/errors.ts';
import type { Descriptor } from '#formats/oci/descriptor.ts';
import { decodeImageDocument, manifestLimit, type ImageDocument } from '#formats/oci/manifest.ts';
import { decodeReferrer, type Referrer } from '#formats/oci/referrer.ts';
import type { HeldManifest } from '../repositories.ts';
import { answerEmpty, refuse, type Answer, type Call } from './answer.ts';
import { dropBytes, sizeOfBlob, type Shelf } from './shelf.ts';

/** A manifest's place: a tag, or a digest. */
export type Target = { readonly repository: string; readonly reference: string };

export async function answerManifest(shelf: Shelf, target: Target, call: Call, signal: AbortSignal): Promise<Answer> {
  if (call.method === 'PUT') return await takeManifest(shelf, target, call, signal);
  if (call.method === 'DELETE') return removeManifest(shelf, target);
  const found = findManifest(shelf, target);
  if (found === undefined) return unknown();
  return {
    status: 200,
    headers: { 'content-type': found.mediaType, 'docker-content-digest': found.digest, etag: `"${found.digest}"` },
    body: shelf.content.read(found.digest, manifestLimit),
  };
}

function findManifest({ content, repositories }: Shelf, { repository, reference }: Target): HeldManifest | undefined {
  const digest = isDigest(reference) ? reference : repositories.tagged(repository, reference);
  const found = digest === undefined ? undefined : repositories.manifest(repository, digest);
  return found !== undefined && content.has(found.digest, found.size) ? found : undefined;
}

function removeManifest(shelf: Shelf, { repository, reference }: Target): Answer {
  if (!isDigest(reference)) return shelf.repositories.removeTag(repository, reference) ? answerEmpty(202) : unknown();
  if (!shelf.repositories.removeManifest(repository, reference)) return unknown();
  dropBytes(shelf, reference);
  return answerEmpty(202);
}

async function takeManifest(shelf: Shelf, { repository, reference }: Target, call: Call, signal: AbortSignal): Promise<Answer> {
  const bytes = await readDocument(call.body);
  if (bytes === undefined) return refuse(413, 'SIZE_INVALID', `a manifest may have ${manifestLimit} bytes at most`);
  const digester = createDigester(isDigest(reference) ? algorithmOf(reference) : 'sha256');
  digester.update(bytes);
  const digest = digester.finish();
  if (isDigest(reference) && reference !== digest) return refuse(400, 'DIGEST_INVALID', `the bytes have the digest ${digest}`);
  const read = readManifest(bytes, call.header('content-type'), reference);
  if (read instanceof JettisonError) return refuse(400, 'MANIFEST_INVALID', read.message);
  const missing = firstMissing(shelf, repository, read.document);
  if (missing !== undefined) return refuse(404, 'MANIFEST_BLOB_UNKNOWN', `push ${missing} first`);
  await shelf.content.ingest([bytes], { digest, size: bytes.length }, signal);
  const manifest: HeldManifest = {
    digest,
    size: bytes.length,
    mediaType: read.document.mediaType,
    ...read.about,
    subject: read.about.subject?.digest,
  };
  shelf.repositories.addManifest(repository, manifest, isDigest(reference) ? undefined : reference);
  if (!shelf.content.has(digest)) return refuse(500, 'UNKNOWN', 'the manifest was removed in the same moment');
  return answerEmpty(201, {
    location: `/v2/${repository}/manifests/${digest}`,
    'docker-content-digest': digest,
    ...(manifest.subject === undefined ? {} : { 'oci-subject': manifest.subject }),
  });
}

type Read = { readonly document: ImageDocument; readonly about: Referrer };

function readManifest(bytes: Uint8Array, contentType: string | undefined, name: string): Read | JettisonError {
  try {
    const document = decodeImageDocument(bytes, contentType === undefined ? [] : [contentType], name);
    return { document, about: decodeReferrer(document, name) };
  } catch (error) {
    if (isManifestFault(error)) return error;
    throw error;
  }
}

function isManifestFault(error: unknown): error is JettisonError {
  return ['oci/bad-manifest', 'oci/ambiguous-manifest', 'oci/schema1-manifest'].some((code) => isCode(error, code));
}

/** The first of what a manifest needs that this repository has not: nobody shall pull half an image. What lies elsewhere (`urls`) need not be here. */
function firstMissing(shelf: Shelf, repository: string, document: ImageDocument): Digest | undefined {
  if (document.kind === 'index') {
    return document.index.manifests.find(({ digest }) => findManifest(shelf, { repository, reference: digest }) === undefined)?.digest;
  }
  const { config, layers } = document.manifest;
  const isMissing = ({ digest, size, urls = [] }: Descriptor): boolean =>
    urls.length === 0 && sizeOfBlob(shelf, repository, digest) !== size;
  return [config, ...layers].find(isMissing)?.digest;
}

/** undefined: there is more than a manifest may have. The rest of it is not read. */
async function readDocument(body: AsyncIterable<Uint8Array>): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > manifestLimit) return undefined;
    chunks.push(chunk);
  }
  return joinBytes(chunks);
}

function unknown(): Answer {
  return refuse(404, 'MANIFEST_UNKNOWN', 'manifest unknown');
}
