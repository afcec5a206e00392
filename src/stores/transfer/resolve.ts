/** What a name in a registry means for one platform: manifest and config, without layers. Both are kept in the content store. */
import { JettisonError, isCode } from '#ground/base/errors.ts';
import type { Descriptor } from '#formats/oci/descriptor.ts';
import { configLimit, decodeImageConfig, type ImageConfig } from '#formats/oci/image-config.ts';
import { noSuchPlatform, selectManifests } from '#formats/oci/image-index.ts';
import { decodeImageDocument, manifestLimit, type ImageDocument, type Manifest } from '#formats/oci/manifest.ts';
import { isConfigType, layerCompression } from '#formats/oci/media-types.ts';
import { platformRank, type Platform } from '#formats/oci/platform.ts';
import { printReference, withDefaultTag, type Reference } from '#formats/oci/reference.ts';
import type { ContentStore } from '#stores/content/store.ts';
import type { RegistryClient } from '#stores/registry/client.ts';
import { fetchBlob } from './fetch-blob.ts';

export type ResolveRequest = {
  readonly reference: Reference;
  readonly platform: Platform;
  readonly client: RegistryClient;
  readonly content: ContentStore;
};

export type RemoteImage = {
  /** As asked, with `latest` where neither tag nor digest was given. */
  readonly reference: Reference;
  /** What the name stands for in the registry where that is an index; its digest is what docker prints after a pull. */
  readonly index: Descriptor | undefined;
  readonly manifest: Descriptor;
  readonly manifestBytes: Uint8Array;
  readonly document: Manifest;
  readonly config: ImageConfig;
  readonly configBytes: Uint8Array;
  /** Bottom first, as many as `config` has DiffIDs. */
  readonly layers: readonly Descriptor[];
};

type DocumentRequest = Omit<ResolveRequest, 'platform'>;

export type FoundDocument = { readonly descriptor: Descriptor; readonly bytes: Uint8Array; readonly document: ImageDocument };
type FoundManifest = { readonly descriptor: Descriptor; readonly bytes: Uint8Array; readonly manifest: Manifest };

const deepestIndex = 3;

/** What a name stands for: a manifest or an index, whatever it is of. A document that the store has is not fetched again. Throws `registry/...`, `oci/...`. */
export async function resolveDocument(request: DocumentRequest, signal: AbortSignal): Promise<FoundDocument> {
  return await findTop({ ...request, reference: withDefaultTag(request.reference) }, signal);
}

/**
 * Finds the image of a platform. A reference by digest that the store has needs no network. Throws `registry/...`, `oci/...`,
 * `transfer/not-an-image`.
 */
export async function resolveImage(given: ResolveRequest, signal: AbortSignal): Promise<RemoteImage> {
  const request = { ...given, reference: withDefaultTag(given.reference) };
  const top = await findTop(request, signal);
  const image = await selectImage(request, top, 0, signal);
  const layers = image.found.manifest.layers;
  const diffIds = image.config.rootfs.diff_ids.length;
  if (diffIds !== layers.length) throw notAnImage(request, `its config speaks of ${diffIds} layers, its manifest of ${layers.length}`);
  for (const layer of layers) layerCompression(layer.mediaType);
  return {
    reference: request.reference,
    index: top.document.kind === 'index' ? top.descriptor : undefined,
    manifest: image.found.descriptor,
    manifestBytes: image.found.bytes,
    document: image.found.manifest,
    config: image.config,
    configBytes: image.configBytes,
    layers,
  };
}

async function findTop(request: DocumentRequest, signal: AbortSignal): Promise<FoundDocument> {
  const { reference, content, client } = request;
  const size = reference.digest && content.size(reference.digest);
  if (reference.digest !== undefined && size !== undefined) {
    const kept = readKept(request, { digest: reference.digest, size, mediaType: '' });
    if (kept) return kept;
  }
  return await findDocument(request, await client.resolve(reference, signal), signal);
}

/** The document of a descriptor, from the store or from the registry. */
async function findDocument(request: DocumentRequest, descriptor: Descriptor, signal: AbortSignal): Promise<FoundDocument> {
  const kept = readKept(request, descriptor);
  if (kept) return kept;
  const fetched = await request.client.fetchManifest(request.reference, descriptor, signal);
  await request.content.ingest([fetched.bytes], { digest: descriptor.digest, size: descriptor.size }, signal);
  return fetched;
}

/** undefined when it is not there, or was damaged (then it is gone now). */
function readKept(request: DocumentRequest, descriptor: Descriptor): FoundDocument | undefined {
  const { content, reference } = request;
  if (!content.has(descriptor.digest, descriptor.size)) return undefined;
  try {
    const bytes = content.read(descriptor.digest, manifestLimit);
    const document = decodeImageDocument(bytes, [descriptor.mediaType], printReference(reference));
    return { descriptor: { ...descriptor, mediaType: document.mediaType }, bytes, document };
  } catch (error) {
    if (isCode(error, 'content/corrupt') || isCode(error, 'content/not-found')) return undefined;
    throw error;
  }
}

type Selected = { readonly found: FoundManifest; readonly config: ImageConfig; readonly configBytes: Uint8Array };

async function selectImage(request: ResolveRequest, found: FoundDocument, depth: number, signal: AbortSignal): Promise<Selected> {
  const { descriptor, bytes, document } = found;
  const name = printReference(request.reference);
  if (document.kind === 'manifest') {
    const { config, configBytes } = await findConfig(request, document.manifest, signal);
    return { found: { descriptor, bytes, manifest: document.manifest }, config, configBytes };
  }
  if (depth >= deepestIndex) throw notAnImage(request, `it is an index nested deeper than ${deepestIndex} levels`);
  for (const candidate of selectManifests(document.index, request.platform, name)) {
    const selected = await selectImage(request, await findDocument(request, bare(candidate), signal), depth + 1, signal);
    // An entry without a platform is judged by what its config says.
    if (candidate.platform !== undefined || platformRank(selected.config, request.platform) !== undefined) return selected;
  }
  throw noSuchPlatform(request.platform, name);
}

async function findConfig(request: ResolveRequest, manifest: Manifest, signal: AbortSignal) {
  const { config: descriptor } = manifest;
  if (!isConfigType(descriptor.mediaType) && descriptor.mediaType !== 'application/octet-stream') {
    throw notAnImage(request, `its config is of type "${descriptor.mediaType}"`);
  }
  if (descriptor.size > configLimit) throw notAnImage(request, `its config has ${descriptor.size} bytes; at most ${configLimit} are read`);
  const read = async (): Promise<Uint8Array> => {
    await fetchBlob(request, descriptor, () => undefined, signal);
    return request.content.read(descriptor.digest, configLimit);
  };
  const configBytes = await read().catch(async (error: unknown) => {
    if (isCode(error, 'content/corrupt')) return await read();
    throw error;
  });
  return { config: decodeImageConfig(configBytes, printReference(request.reference)), configBytes };
}

/** Without what an index says about its entry: platform, annotations. */
function bare(descriptor: Descriptor): Descriptor {
  return { mediaType: descriptor.mediaType, digest: descriptor.digest, size: descriptor.size };
}

function notAnImage(request: ResolveRequest, why: string): JettisonError {
  return new JettisonError('transfer/not-an-image', `Cannot use "${printReference(request.reference)}": ${why}`, {
    fault: 'environment',
    hint: 'It is no image, or damaged: have it pushed again, or use another one',
  });
}
