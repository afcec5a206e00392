/** A cache in a folder of this machine. */
import { checkMemorySize, memoryLimits } from '#execution/builds/memory.ts';
import { decodeCacheConfig } from '#execution/cache/cache-config.ts';
import { readCacheManifest } from '#execution/cache/cache-manifest.ts';
import type { ExportedCache } from '#execution/cache/exported.ts';
import { openCacheFolder, writeCacheFolder } from '#execution/cache/folder.ts';
import { decodeInline } from '#execution/cache/inline.ts';
import { configLimit, decodeImageConfig } from '#formats/oci/image-config.ts';
import { parseDigest } from '#ground/base/digest.ts';
import { isAbsent } from '../absent-caches.ts';
import type { Engine } from '../open.ts';
import type { CacheSource, OutwardTarget } from '../cache-requests.ts';
import type { CacheDestination, CacheOrigin, ReadCache } from './contract.ts';
import { checkConfigSize, sayManifest } from './documents.ts';

type FolderSource = Extract<CacheSource, { readonly kind: 'folder' }>;

/** Reading it throws `cache/...`, `oci/...`, `engine/cache-too-large`. */
export function folderOrigin(engine: Engine, source: FolderSource): CacheOrigin {
  return {
    name: source.path,
    lacks: isAbsent(source) ? 'it has no index.json' : undefined,
    isTold: true,
    read: async () => await Promise.resolve(readFolder(engine, source)),
  };
}

function readFolder(engine: Engine, source: FolderSource): ReadCache | undefined {
  const folder = openCacheFolder(source.path);
  const digest = source.digest === undefined ? undefined : parseDigest(source.digest);
  const document = folder.readDocument({ tag: source.tag, digest });
  const fetch: ReadCache['fetch'] = async (blob, _report, signal) => {
    if (engine.content.has(blob.digest, blob.size)) return;
    await engine.content.ingest(folder.openBlob(blob.digest), { ...blob, durability: 'rebuildable' }, signal);
  };
  const made = (cache: ExportedCache | undefined, memory: () => Uint8Array | undefined): ReadCache | undefined =>
    cache && { ...cache, repository: undefined, fetch, readMemory: async () => await Promise.resolve().then(memory) };
  const parts = readCacheManifest(document);
  if (parts !== undefined) {
    checkConfigSize(parts.config);
    const { memory } = parts;
    const readMemory = (): Uint8Array | undefined => {
      if (memory !== undefined) checkMemorySize(memory, source.path);
      return memory && folder.readBlob(memory, memoryLimits.cache);
    };
    return made(decodeCacheConfig(folder.readBlob(parts.config, configLimit), parts.layers, source.path), readMemory);
  }
  if (document.kind !== 'manifest') return undefined;
  const { config, layers } = document.manifest;
  const inline = decodeInline(decodeImageConfig(folder.readBlob(config, configLimit), source.path), layers, source.path);
  return made(inline?.cache, () => inline?.memory);
}

/** Writing throws `cache/cannot-write`, `content/...`. */
export function folderDestination(target: Extract<OutwardTarget, { readonly kind: 'folder' }>): CacheDestination {
  return {
    name: target.path,
    title: 'exporting cache to client directory',
    write: async (writing, signal) => {
      const { manifest, say } = writing;
      await writeCacheFolder(
        target.path,
        { ...manifest, manifest, tag: target.tag },
        ({ digest }) => writing.openBlob(digest, 0, signal),
        ({ digest }) => say(`writing layer ${digest} done`),
      );
      sayManifest(writing, target);
    },
  };
}
