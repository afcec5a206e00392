/** `imagetools inspect`: what a registry has under a name. Nothing is entered into the image store. */
import type { Json } from '#ground/base/canonical-json.ts';
import { parseJson } from '#ground/base/decode.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { Descriptor } from '#formats/oci/descriptor.ts';
import { configLimit, decodeImageConfig } from '#formats/oci/image-config.ts';
import { attestedBy } from '#formats/oci/image-index.ts';
import type { Manifest } from '#formats/oci/manifest.ts';
import { isConfigType, isManifestType } from '#formats/oci/media-types.ts';
import { normalPlatform, printPlatform, type Platform } from '#formats/oci/platform.ts';
import { parseReference, printReference, withDefaultTag, type Reference } from '#formats/oci/reference.ts';
import { fetchBlob } from '#stores/transfer/fetch-blob.ts';
import { resolveDocument, type FoundDocument } from '#stores/transfer/resolve.ts';
import type { Engine } from './open.ts';
import type { RemoteDocument, RemoteParts } from './registry-requests.ts';

/** Most bytes of a statement that are read. */
const statementLimit = 128 * 1024 * 1024;

/** Throws `registry/...`, `oci/...`. */
export async function lookUpDocument(engine: Engine, text: string, signal: AbortSignal): Promise<RemoteDocument> {
  const reference = withDefaultTag(parseReference(text));
  const { descriptor, bytes, document } = await findDocument(engine, reference, signal);
  return { name: printReference(reference), descriptor, bytes, entries: document.kind === 'index' ? document.index.manifests : undefined };
}

/** The document that a name, or a descriptor of its repository, stands for. Throws `registry/...`, `oci/...`. */
export async function findDocument(
  engine: Engine,
  reference: Reference,
  signal: AbortSignal,
  descriptor?: Pick<Descriptor, 'digest'>,
): Promise<FoundDocument> {
  const client = await engine.registry();
  const wanted = descriptor === undefined ? reference : { ...reference, digest: descriptor.digest };
  return await resolveDocument({ reference: wanted, client, content: engine.content }, signal);
}

/** Reads a blob of a repository, JSON of at most `limit` bytes. Throws `registry/...`, `engine/bad-statement`. */
async function readBlob(
  engine: Engine,
  reference: Reference,
  { descriptor, limit }: { readonly descriptor: Descriptor; readonly limit: number },
  signal: AbortSignal,
): Promise<Uint8Array> {
  if (descriptor.size > limit) throw badStatement(descriptor.digest, `it has ${descriptor.size} bytes; at most ${limit} are read`);
  await fetchBlob({ reference, client: await engine.registry(), content: engine.content }, descriptor, () => undefined, signal);
  return engine.content.read(descriptor.digest, limit);
}

/** What a manifest's config says that it is for, in its own words; undefined for what is no image. */
export async function platformOf(
  engine: Engine,
  reference: Reference,
  manifest: Manifest,
  signal: AbortSignal,
): Promise<Platform | undefined> {
  if (!isConfigType(manifest.config.mediaType)) return undefined;
  const bytes = await readBlob(engine, reference, { descriptor: manifest.config, limit: configLimit }, signal);
  const { os, architecture, variant, ...rest } = decodeImageConfig(bytes, printReference(reference));
  const version = rest['os.version'];
  return {
    os,
    architecture,
    ...(variant === undefined ? {} : { variant }),
    ...(typeof version === 'string' && version !== '' ? { 'os.version': version } : {}),
  };
}

/** Configs, provenance and SBOM. Of a single image each is itself; of several each is by platform. Throws `registry/...`, `engine/bad-statement`. */
export async function readParts(engine: Engine, text: string, signal: AbortSignal): Promise<RemoteParts> {
  const reference = withDefaultTag(parseReference(text));
  const top = await findDocument(engine, reference, signal);
  if (top.document.kind === 'manifest') {
    const config = await configOf(engine, reference, top.document.manifest, signal);
    return { image: config.json, provenance: {}, sbom: {} };
  }
  const entries = top.document.index.manifests.filter((entry) => isManifestType(entry.mediaType));
  const attestations = entries.filter((entry) => attestedBy(entry) !== undefined);
  const images: [string, Json][] = [];
  const statements: [string, Statements][] = [];
  for (const entry of entries) {
    if (attestedBy(entry) !== undefined) continue;
    const { document } = await findDocument(engine, reference, signal, entry);
    if (document.kind !== 'manifest' || !isConfigType(document.manifest.config.mediaType)) continue;
    const { json, platform } = await configOf(engine, reference, document.manifest, signal);
    const name = printPlatform(normalPlatform(entry.platform ?? platform));
    images.push([name, json]);
    const about = attestations.filter((each) => attestedBy(each) === entry.digest);
    statements.push([name, await statementsOf(engine, reference, about, signal)]);
  }
  const [onlyImage, onlyStatements] = [images[0], statements[0]];
  if (images.length === 1 && onlyImage !== undefined && onlyStatements !== undefined)
    return { image: onlyImage[1], provenance: onlyStatements[1].provenance, sbom: onlyStatements[1].sbom };
  const by = (what: keyof Statements): Json =>
    Object.fromEntries(statements.flatMap(([name, one]) => (Object.keys(one[what]).length === 0 ? [] : [[name, one[what]]])));
  return { image: Object.fromEntries(images), provenance: by('provenance'), sbom: by('sbom') };
}

async function configOf(engine: Engine, reference: Reference, manifest: Manifest, signal: AbortSignal) {
  const bytes = await readBlob(engine, reference, { descriptor: manifest.config, limit: configLimit }, signal);
  const platform: Platform = decodeImageConfig(bytes, printReference(reference));
  return { platform, json: inOrder(jsonOf(bytes)) };
}

const historyMembers = ['created', 'created_by', 'author', 'comment', 'empty_layer'];
const imageMembers = ['created', 'author', 'architecture', 'os', 'os.version', 'os.features', 'variant', 'config', 'rootfs', 'history'];

/** Buildx reads a configuration into its own form and writes it in that one's order, without what else stands there. */
function inOrder(image: Json): Json {
  const ordered = membersOf(image, imageMembers);
  const { history } = ordered;
  return Array.isArray(history) ? { ...ordered, history: history.map((entry: Json) => membersOf(entry, historyMembers)) } : ordered;
}

function membersOf(value: Json, names: readonly string[]): Members {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return {};
  const members = new Map(Object.entries(value));
  return Object.fromEntries(
    names.flatMap((name) => {
      const member = members.get(name);
      return member === undefined ? [] : [[name, name === 'created' ? asGoWrites(member) : member]];
    }),
  );
}

/** A time without the zeros at the end of a second's parts. */
function asGoWrites(time: Json | undefined): Json {
  return typeof time === 'string' ? time.replace(/(\.\d*?)0+Z$/u, '$1Z').replace('.Z', 'Z') : (time ?? null);
}

type Members = { readonly [name: string]: Json };
type Statements = { readonly provenance: Members; readonly sbom: Members };

/** Buildx's names for what it knows: `SLSA` for a provenance, `SPDX` for an SBOM (the first one; further ones beside it). */
async function statementsOf(
  engine: Engine,
  reference: Reference,
  attestations: readonly Descriptor[],
  signal: AbortSignal,
): Promise<Statements> {
  let provenance: Members = {};
  const boms: Json[] = [];
  for (const entry of attestations) {
    const { document } = await findDocument(engine, reference, signal, entry);
    if (document.kind !== 'manifest') continue;
    for (const layer of document.manifest.layers) {
      const type = layer.annotations?.['in-toto.io/predicate-type'] ?? '';
      const isProvenance = type.startsWith('https://slsa.dev/provenance/');
      if (!isProvenance && type !== 'https://spdx.dev/Document') continue;
      const { predicate } = statementIn(await readBlob(engine, reference, { descriptor: layer, limit: statementLimit }, signal), layer);
      if (isProvenance) provenance = { SLSA: predicate };
      else boms.push(predicate);
    }
  }
  const [first, ...more] = boms;
  return { provenance, sbom: first === undefined ? {} : { SPDX: first, ...(more.length === 0 ? {} : { AdditionalSPDXs: more }) } };
}

/** What an in-toto statement says. Throws `engine/bad-statement`. */
export function statementIn(
  bytes: Uint8Array,
  { digest }: Pick<Descriptor, 'digest'>,
): { readonly predicateType: string; readonly predicate: Json } {
  const statement = jsonOf(bytes);
  if (typeof statement === 'object' && statement !== null && !Array.isArray(statement) && 'predicate' in statement) {
    const { predicate, predicateType } = statement;
    if (predicate !== undefined) return { predicate, predicateType: typeof predicateType === 'string' ? predicateType : '' };
  }
  throw badStatement(digest, 'it has no predicate');
}

/** Throws `engine/bad-statement`. */
export function jsonOf(bytes: Uint8Array): Json {
  parseJson(bytes, { what: 'a document of the image', code: 'engine/bad-statement', limit: statementLimit });
  return JSON.parse(new TextDecoder().decode(bytes));
}

function badStatement(digest: string, why: string): JettisonError {
  return new JettisonError('engine/bad-statement', `Cannot read ${digest}: ${why}`, {
    fault: 'environment',
    hint: 'It is damaged, or was made by a program that does not keep to the format',
  });
}
