/** Reads the caches that `--cache-from` names: their documents, never their layers. What cannot be read is a warning. */
import { configLimit, decodeImageConfig } from '#formats/oci/image-config.ts';
import type { Descriptor } from '#formats/oci/descriptor.ts';
import { parseReference, printReference, withDefaultTag } from '#formats/oci/reference.ts';
import type { Report } from '#formats/progress/event.ts';
import { digestOf, parseDigest } from '#ground/base/digest.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { decodeCacheConfig } from '#execution/cache/cache-config.ts';
import { readCacheManifest } from '#execution/cache/cache-manifest.ts';
import type { ExportedCache } from '#execution/cache/exported.ts';
import { openCacheFolder } from '#execution/cache/folder.ts';
import { decodeInline } from '#execution/cache/inline.ts';
import { fetchBlob } from '#stores/transfer/fetch-blob.ts';
import { resolveDocument, resolveImage } from '#stores/transfer/resolve.ts';
import type { Engine } from './open.ts';
import { nativeOrAsked } from './platform.ts';
import type { BuildRequest, CacheSource } from './requests.ts';

export type ImportedCache = ExportedCache & {
  /** As people know it. */
  readonly name: string;
  /** `ghcr.io/owner/app`, of a cache in a registry. */
  readonly repository: { readonly registry: string; readonly repository: string } | undefined;
  /** Brings a layer's blob into the content store. Throws `registry/...`, `content/...`, `cache/...`. */
  fetch(blob: Descriptor, report: Report, signal: AbortSignal): Promise<void>;
};

/** In the order of the request; those that cannot be used are left out, with a warning. */
export async function importCaches(
  engine: Engine,
  request: Pick<BuildRequest, 'cacheFrom' | 'platform'>,
  report: Report,
  signal: AbortSignal,
): Promise<readonly ImportedCache[]> {
  const found = await Promise.all(
    request.cacheFrom.map(async (source) => await importShown(engine, { source, platform: request.platform }, report, signal)),
  );
  return found.filter((cache) => cache !== undefined);
}

type Wanted = { readonly source: CacheSource; readonly platform: string | undefined };

/** Shown as a step of its own. */
async function importShown(engine: Engine, wanted: Wanted, report: Report, signal: AbortSignal): Promise<ImportedCache | undefined> {
  const name = nameOfSource(wanted.source);
  const text = `importing cache manifest from ${name}`;
  const vertex = digestOf(text);
  report({ kind: 'vertex', vertex, text });
  report({ kind: 'vertex-started', vertex, time: engine.now() });
  try {
    const found = wanted.source.kind === 'registry' ? await fromRegistry(engine, wanted, signal) : fromFolder(engine, wanted.source);
    if (found === undefined)
      report({ kind: 'note', text: `Warning: ${name} has no cache that this version of jettison can use: it is left aside` });
    report({ kind: 'vertex-finished', vertex, time: engine.now() });
    return found && { ...found, name };
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof JettisonError) || error.fault === 'bug') throw error;
    report({ kind: 'vertex-failed', vertex, time: engine.now(), message: error.message, cancelled: false });
    report({ kind: 'note', text: `Warning: cannot use the cache ${name}: ${error.message}` });
    return undefined;
  }
}

function nameOfSource(source: CacheSource): string {
  return source.kind === 'registry' ? printReference(withDefaultTag(parseReference(source.reference))) : source.path;
}

type Found = Omit<ImportedCache, 'name'> | undefined;

async function fromRegistry(engine: Engine, { source, platform }: Wanted, signal: AbortSignal): Promise<Found> {
  if (source.kind !== 'registry') return undefined;
  const from = { reference: withDefaultTag(parseReference(source.reference)), client: await engine.registry(), content: engine.content };
  const { document, descriptor } = await resolveDocument(from, signal);
  const parts = readCacheManifest(document);
  const name = printReference(from.reference);
  const fetch: ImportedCache['fetch'] = async (blob, report, own) => await fetchBlob(from, blob, report, own);
  const { registry, repository } = from.reference;
  const made = (cache: ExportedCache | undefined): Found => cache && { ...cache, repository: { registry, repository }, fetch };
  if (parts === undefined) {
    const pinned = { ...from.reference, digest: descriptor.digest };
    const image = await resolveImage({ ...from, reference: pinned, platform: nativeOrAsked(platform) }, signal);
    return made(decodeInline(image.config, image.layers, name));
  }
  checkSize(parts.config);
  await fetchBlob(from, parts.config, () => undefined, signal);
  return made(decodeCacheConfig(engine.content.read(parts.config.digest, configLimit), parts.layers, name));
}

function fromFolder(engine: Engine, source: CacheSource): Found {
  if (source.kind !== 'folder') return undefined;
  const folder = openCacheFolder(source.path);
  const digest = source.digest === undefined ? undefined : parseDigest(source.digest);
  const document = folder.readDocument({ tag: source.tag, digest });
  const fetch: ImportedCache['fetch'] = async (blob, _report, signal) => {
    if (engine.content.has(blob.digest, blob.size)) return;
    await engine.content.ingest(folder.openBlob(blob.digest), { ...blob, durability: 'rebuildable' }, signal);
  };
  const made = (cache: ExportedCache | undefined): Found => cache && { ...cache, repository: undefined, fetch };
  const parts = readCacheManifest(document);
  if (parts !== undefined) {
    checkSize(parts.config);
    return made(decodeCacheConfig(folder.readBlob(parts.config, configLimit), parts.layers, source.path));
  }
  if (document.kind !== 'manifest') return undefined;
  const { config, layers } = document.manifest;
  return made(decodeInline(decodeImageConfig(folder.readBlob(config, configLimit), source.path), layers, source.path));
}

function checkSize({ size }: Descriptor): void {
  if (size <= configLimit) return;
  throw new JettisonError('engine/cache-too-large', `Its list of records has ${size} bytes; at most ${configLimit} are read`, {
    fault: 'environment',
  });
}
