/** `imagetools create`, and what `manifest push` does: an index in a registry of manifests that are in registries already. */
import * as v from 'valibot';
import { checkShape, parseJson } from '#ground/base/decode.ts';
import { isDigest, type Digest } from '#ground/base/digest.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { descriptorSchema, type Descriptor } from '#formats/oci/descriptor.ts';
import { attestedBy } from '#formats/oci/image-index.ts';
import { isIndexType, mediaTypes } from '#formats/oci/media-types.ts';
import { normalPlatform, platformRank, printPlatform, type Platform } from '#formats/oci/platform.ts';
import { nameOf, parseReference, printReference, withDefaultTag, type Reference } from '#formats/oci/reference.ts';
import type { Report } from '#formats/progress/event.ts';
import type { TypedDocument } from '#execution/exporter/assemble-index.ts';
import { indexAsImagetools } from '#execution/exporter/index-forms.ts';
import { fetchBlob } from '#stores/transfer/fetch-blob.ts';
import { pushBlob } from '#stores/transfer/push.ts';
import type { AnnotationRequest } from './build-requests.ts';
import type { Engine } from './open.ts';
import { nativeOrAsked } from './platform.ts';
import type { CreateIndexRequest } from './registry-requests.ts';
import { findDocument, platformOf } from './remote-documents.ts';

/** A manifest where it lies, as the index is to name it. */
export type SourceManifest = { readonly reference: Reference; readonly descriptor: Descriptor };

/** Gives the document that the tags mean now, or would. Throws `engine/bad-source`, `registry/...`; the tags stay as they were then. */
export async function createIndex(
  engine: Engine,
  request: CreateIndexRequest,
  report: Report,
  signal: AbortSignal,
): Promise<TypedDocument> {
  const targets = request.tags.map((tag) => withDefaultTag(parseReference(tag)));
  const [first] = targets;
  if (request.append && first === undefined) throw badSource('', 'there is no tag to append to', 'Give one with "--tag"');
  const texts = [...(request.append && first !== undefined ? [printReference(first)] : []), ...request.sources];
  const tops: Top[] = [];
  for (const text of texts) tops.push(await readSource(engine, text, first, signal));
  const wanted = request.platforms.map((platform) => nativeOrAsked(platform));
  const manifests = forPlatforms(await flatten(engine, tops, signal), wanted);
  if (manifests.length === 0) throw badSource(texts.join(' '), 'it has no image for these platforms', 'See "imagetools inspect"');
  const copied = request.annotations.length === 0 && wanted.length === 0 ? copyOf(tops, request.preferIndex) : undefined;
  const top = copied ?? indexAsImagetools(annotated(manifests, request.annotations), formOf(tops, request.annotations));
  if (request.dryRun) return top;
  for (const target of targets) await publish(engine, { target, manifests, top }, report, signal);
  return top;
}

type Top = SourceManifest & { readonly document: TypedDocument; readonly entries: readonly Descriptor[] | undefined };

async function readSource(engine: Engine, text: string, target: Reference | undefined, signal: AbortSignal): Promise<Top> {
  const { reference, given } = parseSource(text, target);
  const { descriptor, bytes, document } = await findDocument(engine, reference, signal);
  return {
    reference,
    descriptor: { ...descriptor, ...given },
    document: { mediaType: document.mediaType, digest: descriptor.digest, bytes },
    entries: document.kind === 'index' ? document.index.manifests : undefined,
  };
}

/** A name; a digest in the repository of the target; a descriptor there as JSON, whose platform and annotations count. */
function parseSource(
  text: string,
  target: Reference | undefined,
): { readonly reference: Reference; readonly given: Pick<Descriptor, 'platform' | 'annotations'> } {
  const inTarget = (digest: Digest): Reference => {
    if (target === undefined) throw badSource(text, 'its repository is not known', 'Give a tag with "--tag", or write NAME@DIGEST');
    return { ...target, tag: undefined, digest };
  };
  if (isDigest(text)) return { reference: inTarget(text), given: {} };
  if (!text.trimStart().startsWith('{')) return { reference: withDefaultTag(parseReference(text)), given: {} };
  const document = { what: 'a source descriptor', code: 'engine/bad-source', limit: 1 << 20 };
  const schema = v.looseObject({ ...v.partial(descriptorSchema).entries, digest: descriptorSchema.entries.digest });
  const { digest, platform, annotations } = checkShape(parseJson(new TextEncoder().encode(text), document), schema, document);
  const given = { ...(platform === undefined ? {} : { platform }), ...(annotations === undefined ? {} : { annotations }) };
  return { reference: inTarget(digest), given };
}

/** The manifests of all sources, each once: what a later source says of one adds to what an earlier one says. */
async function flatten(engine: Engine, tops: readonly Top[], signal: AbortSignal): Promise<readonly SourceManifest[]> {
  const found = new Map<Digest, SourceManifest>();
  const add = ({ reference, descriptor }: SourceManifest): void => {
    const before = found.get(descriptor.digest);
    found.set(descriptor.digest, { reference: before?.reference ?? reference, descriptor: { ...before?.descriptor, ...descriptor } });
  };
  for (const { reference, descriptor, entries } of tops) {
    if (entries === undefined) {
      const platform = descriptor.platform ?? found.get(descriptor.digest)?.descriptor.platform;
      add({
        reference,
        descriptor: await withPlatform(engine, reference, { ...descriptor, ...(platform === undefined ? {} : { platform }) }, signal),
      });
      continue;
    }
    for (const entry of entries) {
      if (isIndexType(entry.mediaType)) throw badSource(printReference(reference), 'it is an index of indexes', 'Name the indexes in it');
      add({ reference, descriptor: entry });
    }
  }
  return [...found.values()];
}

async function withPlatform(engine: Engine, reference: Reference, descriptor: Descriptor, signal: AbortSignal): Promise<Descriptor> {
  if (descriptor.platform !== undefined) return descriptor;
  const { document } = await findDocument(engine, reference, signal, descriptor);
  const platform = document.kind === 'manifest' ? await platformOf(engine, reference, document.manifest, signal) : undefined;
  return platform === undefined ? descriptor : { ...descriptor, platform: normalPlatform(platform) };
}

/** Those for one of the platforms, and what is said about them. */
function forPlatforms(manifests: readonly SourceManifest[], wanted: readonly Platform[]): readonly SourceManifest[] {
  if (wanted.length === 0) return manifests;
  const chosen = manifests.filter(({ descriptor: { platform } }) => wanted.some((one) => platform && platformRank(platform, one) === 0));
  const digests = new Set<string>(chosen.map(({ descriptor }) => descriptor.digest));
  return manifests.filter(({ descriptor }) => digests.has(descriptor.digest) || digests.has(attestedBy(descriptor) ?? ''));
}

/** The only source as it is, where that is an index, or an index is not wanted. */
function copyOf(tops: readonly Top[], preferIndex: boolean): TypedDocument | undefined {
  const [only, ...more] = tops;
  if (only === undefined || more.length > 0) return undefined;
  return only.entries !== undefined || !preferIndex ? only.document : undefined;
}

function annotated(manifests: readonly SourceManifest[], annotations: readonly AnnotationRequest[]): readonly Descriptor[] {
  const asked = annotations.filter(({ place }) => place === 'manifest-descriptor');
  return manifests.map(({ descriptor }) => {
    const { platform } = descriptor;
    const own = asked.filter((one) => one.platform === undefined || (platform && isSame(platform, one.platform)));
    if (own.length === 0) return descriptor;
    const added = Object.fromEntries(own.map(({ key, value }) => [key, value]));
    return { ...descriptor, annotations: { ...descriptor.annotations, ...added } };
  });
}

function isSame(platform: Platform, word: string): boolean {
  return printPlatform(normalPlatform(platform)) === printPlatform(nativeOrAsked(word));
}

/** Docker's form only where all sources have it and nothing needs the other. */
function formOf(
  tops: readonly Top[],
  annotations: readonly AnnotationRequest[],
): { readonly format: 'oci' | 'docker'; readonly annotations: Readonly<Record<string, string>> } {
  const own = Object.fromEntries(annotations.flatMap(({ place, key, value }) => (place === 'index' ? [[key, value]] : [])));
  const dockers: readonly string[] = [mediaTypes.dockerManifest, mediaTypes.dockerManifestList];
  const isDocker = annotations.length === 0 && tops.every(({ document }) => dockers.includes(document.mediaType));
  return { format: isDocker ? 'docker' : 'oci', annotations: own };
}

export type Publication = { readonly target: Reference; readonly manifests: readonly SourceManifest[]; readonly top: TypedDocument };

/** Brings what the target's repository lacks (blobs are mounted where that goes), then names the document. Throws `registry/...`. */
export async function publish(engine: Engine, { target, manifests, top }: Publication, report: Report, signal: AbortSignal): Promise<void> {
  using _ = engine.waits.toldTo(report);
  engine.hold();
  const client = await engine.registry();
  for (const source of manifests) {
    if (source.descriptor.digest === top.digest || nameOf(source.reference) === nameOf(target)) continue;
    await copyManifest(engine, source, target, report, signal);
  }
  const alone = manifests.find(({ descriptor }) => descriptor.digest === top.digest);
  if (alone !== undefined && nameOf(alone.reference) !== nameOf(target)) await copyManifest(engine, alone, target, report, signal);
  await client.putManifest(target, top, signal);
}

async function copyManifest(engine: Engine, source: SourceManifest, target: Reference, report: Report, signal: AbortSignal): Promise<void> {
  const client = await engine.registry();
  const { descriptor, bytes, document } = await findDocument(engine, source.reference, signal, source.descriptor);
  if (document.kind !== 'manifest') throw badSource(printReference(source.reference), 'it is no manifest', 'Name manifests');
  const mountFrom = source.reference.registry === target.registry ? [source.reference.repository] : [];
  const openBlob = async function* (digest: Digest, offset: number, own: AbortSignal): AsyncIterable<Uint8Array> {
    const blob = blobs.find((one) => one.digest === digest);
    if (blob !== undefined) await fetchBlob({ reference: source.reference, client, content: engine.content }, blob, () => undefined, own);
    yield* engine.content.openStream(digest, offset, own);
  };
  const blobs = [document.manifest.config, ...document.manifest.layers];
  for (const blob of blobs) await pushBlob({ reference: target, client, openBlob, mountFrom }, blob, report, signal);
  const { mediaType } = document;
  await client.putManifest({ ...target, tag: undefined, digest: descriptor.digest }, { bytes, mediaType }, signal);
}

function badSource(text: string, why: string, hint: string): JettisonError {
  return new JettisonError('engine/bad-source', `Cannot make an index of "${text.slice(0, 200)}": ${why}`, { hint });
}
