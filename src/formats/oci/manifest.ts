/** Image manifests: OCI image spec, manifest.md; Docker image manifest version 2, schema 2. */
import * as v from 'valibot';
import { checkShape, isJsonObject, parseJson, stringMap, type Document } from '#ground/base/decode.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { descriptorSchema, withoutNulls, type Descriptor } from './descriptor.ts';
import type { ImageIndex } from './image-index.ts';
import { bareMediaType, isIndexType, isManifestType, isSchema1Type, mediaTypes } from './media-types.ts';

export type Manifest = {
  readonly schemaVersion: 2;
  readonly mediaType?: string;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly annotations?: Readonly<Record<string, string>>;
};

/** What a manifest's address may hold. `mediaType` is the agreed one, never absent. */
export type ImageDocument =
  | { readonly kind: 'manifest'; readonly mediaType: string; readonly manifest: Manifest }
  | { readonly kind: 'index'; readonly mediaType: string; readonly index: ImageIndex };

/** Most bytes of a manifest or index: registries refuse more, too. */
export const manifestLimit = 4 * 1024 * 1024;
const mostLayers = 1000;
const mostManifests = 10_000;
const damagedHint = 'It is damaged or hostile: have the image pushed again, or use another one';

const manifestSchema = v.looseObject({
  schemaVersion: v.literal(2),
  mediaType: v.exactOptional(v.string()),
  config: descriptorSchema,
  layers: v.pipe(v.array(descriptorSchema), v.maxLength(mostLayers)),
  annotations: v.exactOptional(stringMap()),
});

const indexSchema = v.looseObject({
  schemaVersion: v.literal(2),
  mediaType: v.exactOptional(v.string()),
  manifests: v.pipe(v.array(descriptorSchema), v.maxLength(mostManifests)),
  annotations: v.exactOptional(stringMap()),
});

/**
 * Reads a manifest or an index. `declared` is every media type that others gave it (descriptor, HTTP header): these and the document's
 * own must agree. `name` is for messages. Throws `oci/bad-manifest`, `oci/ambiguous-manifest`, `oci/schema1-manifest`.
 */
export function decodeImageDocument(bytes: Uint8Array, declared: readonly string[], name: string): ImageDocument {
  const document: Document = { what: `the manifest of "${name}"`, code: 'oci/bad-manifest', limit: manifestLimit };
  const claims = declared.map(bareMediaType);
  if (claims.some(isSchema1Type)) refuseSchema1(name);
  const body = normalBody(parseJson(bytes, document));
  if (!isJsonObject(body)) throw badManifest(document, 'it is not an object');
  if (body['schemaVersion'] === 1 || 'fsLayers' in body) refuseSchema1(name);
  const isIndex = 'manifests' in body;
  if (isIndex && ('layers' in body || 'config' in body)) {
    throw new JettisonError('oci/ambiguous-manifest', `Refusing ${document.what}: it is a manifest and an index at once`, {
      fault: 'environment',
      hint: damagedHint,
    });
  }
  const own = body['mediaType'];
  if (own !== undefined && typeof own !== 'string') throw badManifest(document, 'its mediaType is not a text');
  const mediaType = agree(document, [...(own === undefined ? [] : [own]), ...claims], isIndex);
  if (isIndex) return { kind: 'index', mediaType, index: checkShape(body, indexSchema, document) };
  return { kind: 'manifest', mediaType, manifest: checkShape(body, manifestSchema, document) };
}

/** Types that say nothing (servers send them for any file) do not count; the others must be one and the same, and fit the document. */
function agree(document: Document, claims: readonly string[], isIndex: boolean): string {
  const telling = claims.filter((claim) => !['', 'application/json', 'application/octet-stream', 'text/plain'].includes(claim));
  const first = telling[0];
  if (first === undefined) return isIndex ? mediaTypes.index : mediaTypes.manifest;
  const other = telling.find((claim) => claim !== first);
  if (other !== undefined) throw badManifest(document, `its media types do not agree: "${first}" and "${other}"`);
  if (isIndex ? !isIndexType(first) : !isManifestType(first)) {
    throw badManifest(document, `its media type "${first}" does not fit what it holds`);
  }
  return first;
}

/** null means "not there", in the document and in its descriptors. */
function normalBody(value: unknown): unknown {
  const body = withoutNulls(value);
  if (!isJsonObject(body)) return body;
  return {
    ...body,
    ...('config' in body ? { config: withoutNulls(body['config']) } : {}),
    ...('layers' in body ? { layers: normalList(body['layers']) } : {}),
    ...('manifests' in body ? { manifests: normalList(body['manifests']) } : {}),
  };
}

function normalList(member: unknown): unknown {
  return Array.isArray(member) ? member.map(withoutNulls) : member;
}

function badManifest(document: Document, why: string): JettisonError {
  return new JettisonError('oci/bad-manifest', `Cannot read ${document.what}: ${why}`, { fault: 'environment', hint: damagedHint });
}

function refuseSchema1(name: string): never {
  throw new JettisonError('oci/schema1-manifest', `"${name}" has a manifest of Docker's schema 1, which is not supported`, {
    hint: 'Push the image again with a tool of this decade: it will get a schema 2 or OCI manifest',
  });
}
