/** A client of the OCI distribution spec: manifests and blobs, read and written. What it gives was checked against its digest. */
import { createDigester, algorithmOf, isDigest, digestOf, type Digest } from '#ground/base/digest.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { Descriptor } from '#formats/oci/descriptor.ts';
import { decodeImageDocument, manifestLimit, type ImageDocument } from '#formats/oci/manifest.ts';
import { bareMediaType, documentTypes, mediaTypes } from '#formats/oci/media-types.ts';
import { printReference, withDefaultTag, type Reference } from '#formats/oci/reference.ts';
import { createAuth } from './auth.ts';
import { downloadBlob, type BlobSink } from './download.ts';
import { pullEndpoints, pushEndpoint, type Endpoint, type RegistryConfig } from './config.ts';
import type { FindCredential } from './credentials.ts';
import { registryError, damagedHint } from './errors.ts';
import { createSpeaker, type Speaker } from './http/speaker.ts';
import { listTags } from './tags.ts';
import { createTransport, expectStatus, refuseEncoding, type OnWait, type TransportTiming } from './transport.ts';
import { hasBlob, mountBlob, uploadBlob, uploadGrowingBlob, type BlobUpload, type GrowingUpload } from './upload.ts';

export type { BlobSink } from './download.ts';
export type { BlobUpload, GrowingUpload } from './upload.ts';

export type FetchedManifest = {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
  readonly document: ImageDocument;
};

/** Every method throws `registry/...` errors that name the host and the reason. Of a reference without tag and digest `latest` is meant. */
export type RegistryClient = Disposable & {
  /** Is there a registry, and does it take our credentials (if we have any)? */
  ping(registry: string, signal: AbortSignal): Promise<void>;
  /** What a tag or digest stands for, without fetching it where the registry allows. */
  resolve(reference: Reference, signal: AbortSignal): Promise<Descriptor>;
  /** The manifest or index of a reference, or the one that `descriptor` of the same repository means; at most 4 MiB. */
  fetchManifest(reference: Reference, descriptor: Descriptor | undefined, signal: AbortSignal): Promise<FetchedManifest>;
  /**
   * Writes a blob to `sink` from `sink.offset` on; a broken connection goes on where it ended. Exactly `descriptor.size` bytes are
   * written; the sink checks the digest. `avoid`: hosts that gave wrong bytes before. Gives the host that served it.
   */
  fetchBlob(
    reference: Reference,
    descriptor: Descriptor,
    to: { readonly sink: BlobSink; readonly avoid?: readonly string[] },
    signal: AbortSignal,
  ): Promise<string>;
  /** Does the repository (at the registry itself, not a mirror) have this blob? */
  hasBlob(reference: Reference, digest: Digest, signal: AbortSignal): Promise<boolean>;
  /** Mounts a blob from another repository; gives whether that could be done. */
  mountBlob(reference: Reference, blob: Pick<BlobUpload, 'digest' | 'mountFrom'>, signal: AbortSignal): Promise<boolean>;
  /** Puts a blob into the repository by mounting it from another one or by upload. Ask `hasBlob` first. */
  uploadBlob(reference: Reference, upload: BlobUpload, signal: AbortSignal): Promise<'mounted' | 'uploaded'>;
  /** Uploads a blob while it is still made. */
  uploadGrowingBlob(reference: Reference, upload: GrowingUpload, signal: AbortSignal): Promise<void>;
  /**
   * Manifests that say of `subject` what `artifactType` names, as the registry lists them on one page (OCI distribution spec, "Listing Referrers"); undefined where it has no such list.
   * Nobody has checked that they say so.
   */
  listReferrers(
    reference: Reference,
    subject: Digest,
    artifactType: string,
    signal: AbortSignal,
  ): Promise<readonly Descriptor[] | undefined>;
  /** All tags of a repository. */
  listTags(reference: Pick<Reference, 'registry' | 'repository'>, signal: AbortSignal): Promise<readonly string[]>;
  /** Writes a manifest or index under the reference's tag (or its digest). */
  putManifest(
    reference: Reference,
    manifest: { readonly bytes: Uint8Array; readonly mediaType: string },
    signal: AbortSignal,
  ): Promise<Descriptor>;
};

export type RegistryClientOptions = {
  readonly config: RegistryConfig;
  readonly findCredential: FindCredential;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly userAgent?: string;
  readonly timing?: Partial<TransportTiming>;
  /** Told, as sentences, of long waits and of new tries. */
  readonly onWait?: OnWait;
};

const acceptDocuments = documentTypes.join(', ');

export function createRegistryClient(options: RegistryClientOptions): RegistryClient {
  const { config, environment, timing } = options;
  const { onWait } = options;
  const transport = createTransport({ userAgent: options.userAgent ?? 'jettison', environment, onWait, ...(timing ? { timing } : {}) });
  const speaker = createSpeaker(transport, createAuth(transport, options.findCredential));
  const pushTo = (reference: Reference): Endpoint => pushEndpoint(config, reference.registry);
  return {
    ping: async (registry, signal) => await ping(speaker, pushEndpoint(config, registry), signal),
    resolve: async (reference, signal) =>
      await fromAny(
        speaker,
        config,
        reference,
        async (endpoint) => await resolve(speaker, endpoint, withDefaultTag(reference), signal),
        signal,
      ),
    fetchManifest: async (reference, descriptor, signal) =>
      await fromAny(
        speaker,
        config,
        reference,
        async (endpoint) => await fetchManifest(speaker, endpoint, withDefaultTag(reference), descriptor, signal),
        signal,
      ),
    async fetchBlob(reference, descriptor, { sink, avoid }, signal) {
      if (sink.offset === descriptor.size) return reference.registry;
      const get = async (endpoint: Endpoint): Promise<string> => {
        await downloadBlob(speaker, endpoint, { repository: reference.repository, descriptor, sink }, signal);
        return endpoint.host;
      };
      return await fromAny(speaker, config, reference, get, signal, avoid);
    },
    hasBlob: async (reference, digest, signal) =>
      await transport.persist(
        async () => await hasBlob({ speaker, endpoint: pushTo(reference), repository: reference.repository }, digest, signal),
        signal,
      ),
    mountBlob: async (reference, blob, signal) => await mountBlob(speaker, pushTo(reference), reference.repository, blob, signal),
    uploadBlob: async (reference, upload, signal) => await uploadBlob(speaker, pushTo(reference), reference.repository, upload, signal),
    uploadGrowingBlob: async (reference, upload, signal) =>
      await uploadGrowingBlob(speaker, pushTo(reference), reference.repository, upload, signal),
    listReferrers: async (reference, subject, artifactType, signal) =>
      await transport.persist(
        async () => await listReferrers(speaker, pushTo(reference), { reference, subject, artifactType }, signal),
        signal,
      ),
    listTags: async ({ registry, repository }, signal) => {
      const list = async (endpoint: Endpoint) => await listTags(speaker, endpoint, repositoryAt(endpoint, repository), signal);
      return await fromAny(speaker, config, { registry, repository, tag: undefined, digest: undefined }, list, signal);
    },
    putManifest: async (reference, manifest, signal) =>
      await transport.persist(
        async () => await putManifest(speaker, pushTo(reference), withDefaultTag(reference), manifest, signal),
        signal,
      ),
    [Symbol.dispose]: () => transport[Symbol.dispose](),
  };
}

/** Asks the mirrors of a registry, then the registry itself; what the mirrors said goes into the notes of the last error. */
async function fromAny<T>(
  speaker: Speaker,
  config: RegistryConfig,
  reference: Reference,
  task: (endpoint: Endpoint) => Promise<T>,
  signal: AbortSignal,
  avoid: readonly string[] = [],
): Promise<T> {
  const all = pullEndpoints(config, reference.registry);
  const preferred = all.filter((endpoint) => !avoid.includes(endpoint.host));
  const endpoints = preferred.length > 0 ? preferred : all;
  const notes: string[] = [];
  for (const [index, endpoint] of endpoints.entries()) {
    try {
      return await speaker.transport.persist(async () => await task(endpoint), signal);
    } catch (error) {
      if (signal.aborted || !isAnswerOf(error)) throw error;
      if (index === endpoints.length - 1) throw notes.length === 0 ? error : error.with({ notes });
      notes.push(`${endpoint.isMirror ? 'Mirror' : 'Registry'} "${endpoint.host}": ${error.message}`);
    }
  }
  throw registryError('no-endpoint', `There is nowhere to ask for "${printReference(reference)}"`, { fault: 'bug' });
}

/** Only what a registry did wrong is a reason to ask another one: not a full disk of ours. */
function isAnswerOf(error: unknown): error is JettisonError {
  return error instanceof JettisonError && /^(?:registry|oci)\//u.test(error.code);
}

async function ping(speaker: Speaker, endpoint: Endpoint, signal: AbortSignal): Promise<void> {
  await speaker.transport.persist(async () => {
    using answer = await speaker.ask(endpoint, { method: 'GET', path: '/v2/', scopes: [] }, signal);
    await expectStatus(answer, 'GET', [200]);
  }, signal);
}

async function resolve(speaker: Speaker, endpoint: Endpoint, reference: Reference, signal: AbortSignal): Promise<Descriptor> {
  using answer = await speaker.ask(endpoint, manifestRequest(endpoint, 'HEAD', reference, undefined), signal);
  const digest = answer.headers['docker-content-digest'];
  const size = Number(answer.headers['content-length'] ?? Number.NaN);
  const mediaType = bareMediaType(answer.headers['content-type'] ?? '');
  if (
    answer.status === 200 &&
    typeof digest === 'string' &&
    isDigest(digest) &&
    Number.isSafeInteger(size) &&
    documentTypes.includes(mediaType)
  ) {
    if (size > manifestLimit)
      throw registryError('too-long', `"${endpoint.host}" has a manifest of ${size} bytes; at most ${manifestLimit} are read`, {
        hint: damagedHint,
      });
    const asked = reference.digest;
    if (asked !== undefined && asked !== digest) throw wrongDigest(endpoint, asked, digest);
    return { mediaType, digest, size };
  }
  if (answer.status >= 500 || answer.status === 429) await expectStatus(answer, 'HEAD', [200]);
  // HEAD answers have no body to say why, and some registries have no HEAD or no digest header: GET knows all.
  return (await fetchManifest(speaker, endpoint, reference, undefined, signal)).descriptor;
}

async function fetchManifest(
  speaker: Speaker,
  endpoint: Endpoint,
  reference: Reference,
  descriptor: Descriptor | undefined,
  signal: AbortSignal,
): Promise<FetchedManifest> {
  using answer = await speaker.ask(endpoint, manifestRequest(endpoint, 'GET', reference, descriptor), signal);
  await expectStatus(answer, 'GET', [200]);
  refuseEncoding(answer);
  const declared = answer.headers['content-type'] ?? '';
  if (bareMediaType(declared) === 'text/html') {
    throw registryError('bad-answer', `"${endpoint.host}" sent a web page instead of a manifest`, {
      hint: 'Check that this is the address of a registry',
    });
  }
  const bytes = await answer.bytes(manifestLimit);
  const header = answer.headers['docker-content-digest'];
  const digest = checkManifest(endpoint, bytes, [descriptor?.digest ?? reference.digest, typeof header === 'string' ? header : undefined]);
  if (descriptor && descriptor.size !== bytes.length) throw wrongSize(endpoint, descriptor, bytes.length);
  const claims = [declared, ...(descriptor ? [descriptor.mediaType] : [])];
  const document = blame(endpoint, () => decodeImageDocument(bytes, claims, printReference(reference)));
  return { descriptor: { mediaType: document.mediaType, digest, size: bytes.length }, bytes, document };
}

function manifestRequest(endpoint: Endpoint, method: 'GET' | 'HEAD', reference: Reference, descriptor: Descriptor | undefined) {
  const repository = repositoryAt(endpoint, reference.repository);
  const target = descriptor?.digest ?? reference.digest ?? reference.tag ?? 'latest';
  return {
    method,
    path: `/v2/${repository}/manifests/${target}`,
    scopes: [`repository:${repository}:pull`],
    headers: { accept: descriptor?.mediaType ?? acceptDocuments },
  } as const;
}

type Referred = { readonly reference: Reference; readonly subject: Digest; readonly artifactType: string };

async function listReferrers(
  speaker: Speaker,
  endpoint: Endpoint,
  { reference, subject, artifactType }: Referred,
  signal: AbortSignal,
): Promise<readonly Descriptor[] | undefined> {
  const { repository } = reference;
  const path = `/v2/${repository}/referrers/${subject}?artifactType=${encodeURIComponent(artifactType)}`;
  using answer = await speaker.ask(endpoint, { method: 'GET', path, scopes: [`repository:${repository}:pull`] }, signal);
  const isList = bareMediaType(answer.headers['content-type'] ?? '') === mediaTypes.index;
  // Registries from before the list know no such path, or take it for something else.
  if ([400, 404, 405].includes(answer.status) || (answer.status === 200 && !isList)) return undefined;
  await expectStatus(answer, 'GET', [200]);
  refuseEncoding(answer);
  const bytes = await answer.bytes(manifestLimit);
  const document = blame(endpoint, () => decodeImageDocument(bytes, [mediaTypes.index], printReference(reference)));
  return document.kind === 'index' ? document.index.manifests : undefined;
}

/** All digests that anybody named must be that of the bytes. Gives the digest by which the manifest is known. */
function checkManifest(endpoint: Endpoint, bytes: Uint8Array, named: readonly (string | undefined)[]): Digest {
  let known: Digest | undefined;
  for (const text of named) {
    if (text === undefined || text === '') continue;
    if (!isDigest(text))
      throw registryError('bad-answer', `"${endpoint.host}" names a digest that is none: "${text.slice(0, 160)}"`, { hint: damagedHint });
    const digester = createDigester(algorithmOf(text));
    digester.update(bytes);
    const actual = digester.finish();
    if (actual !== text) throw wrongDigest(endpoint, text, actual);
    known ??= text;
  }
  return known ?? digestOf(bytes);
}

async function putManifest(
  speaker: Speaker,
  endpoint: Endpoint,
  reference: Reference,
  manifest: { readonly bytes: Uint8Array; readonly mediaType: string },
  signal: AbortSignal,
): Promise<Descriptor> {
  const digest = digestOf(manifest.bytes);
  const { bytes, mediaType } = manifest;
  if (reference.digest !== undefined && reference.digest !== digest) {
    throw registryError('wrong-digest', `Cannot push to "${printReference(reference)}": the manifest has the digest ${digest}`, {
      fault: 'user',
    });
  }
  using answer = await speaker.ask(
    endpoint,
    {
      method: 'PUT',
      path: `/v2/${reference.repository}/manifests/${reference.tag ?? digest}`,
      scopes: pushScopes(reference.repository),
      headers: { 'content-type': mediaType },
      body: { size: bytes.length, open: () => [bytes] },
      isCommit: true,
    },
    signal,
  );
  await expectStatus(answer, 'PUT', [200, 201, 202, 204]);
  const header = answer.headers['docker-content-digest'];
  if (typeof header === 'string' && header !== digest) throw wrongDigest(endpoint, digest, header);
  return { mediaType, digest, size: bytes.length };
}

/** The repository's path at an endpoint. */
export function repositoryAt(endpoint: Endpoint, repository: string): string {
  return endpoint.prefix === '' ? repository : `${endpoint.prefix}/${repository}`;
}

export function pushScopes(repository: string): readonly string[] {
  return [`repository:${repository}:pull,push`];
}

/** A document that cannot be read is the fault of who sent it. */
function blame<T>(endpoint: Endpoint, decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    if (!(error instanceof JettisonError) || !error.code.startsWith('oci/')) throw error;
    throw new JettisonError(error.code, `"${endpoint.host}" sent what cannot be used: ${error.message}`, {
      fault: 'environment',
      cause: error,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
    });
  }
}

function wrongDigest(endpoint: Endpoint, wanted: string, actual: string): JettisonError {
  return registryError(
    'wrong-digest',
    `"${endpoint.host}" sent other bytes than the digest says: expected ${wanted}, got ${actual.slice(0, 160)}`,
    { hint: damagedHint },
  );
}

function wrongSize(endpoint: Endpoint, descriptor: Descriptor, actual: number): JettisonError {
  return registryError('wrong-size', `"${endpoint.host}" sent ${actual} bytes for ${descriptor.digest}, which has ${descriptor.size}`, {
    hint: damagedHint,
  });
}
