/** A cache in a registry: a manifest of its own, or an image that says which steps made its layers. */
import { decodeCacheConfig } from '#execution/cache/cache-config.ts';
import { readCacheManifest } from '#execution/cache/cache-manifest.ts';
import type { ExportedCache } from '#execution/cache/exported.ts';
import { decodeInline } from '#execution/cache/inline.ts';
import { configLimit } from '#formats/oci/image-config.ts';
import { parseReference, printReference, withDefaultTag } from '#formats/oci/reference.ts';
import type { TransferProgress } from '#formats/progress/event.ts';
import { fetchBlob } from '#stores/transfer/fetch-blob.ts';
import { pushDocument } from '#stores/transfer/push.ts';
import { resolveDocument, resolveImage } from '#stores/transfer/resolve.ts';
import type { Engine } from '../open.ts';
import { nativeOrAsked } from '../platform.ts';
import type { CacheSource, OutwardTarget } from '../cache-requests.ts';
import type { CacheDestination, CacheOrigin, ReadCache } from './contract.ts';
import { checkConfigSize, memoryReader, sayManifest } from './documents.ts';

/** Reading it throws `registry/...`, `oci/...`, `cache/bad-config`, `engine/cache-too-large`. */
export function registryOrigin(
  engine: Engine,
  source: Extract<CacheSource, { readonly kind: 'registry' }>,
  platform: string | undefined,
): CacheOrigin {
  const reference = withDefaultTag(parseReference(source.reference));
  const name = printReference(reference);
  return {
    name,
    read: async (signal) => {
      const from = { reference, client: await engine.registry(), content: engine.content };
      const { document, descriptor } = await resolveDocument(from, signal);
      const parts = readCacheManifest(document);
      const { registry, repository } = reference;
      const fetch: ReadCache['fetch'] = async (blob, report, own) => await fetchBlob(from, blob, report, own);
      const made = (cache: ExportedCache | undefined, readMemory: ReadCache['readMemory']): ReadCache | undefined =>
        cache && { ...cache, repository: { registry, repository }, fetch, readMemory };
      if (parts === undefined) {
        const pinned = { ...reference, digest: descriptor.digest };
        const image = await resolveImage({ ...from, reference: pinned, platform: nativeOrAsked(platform) }, signal);
        const inline = decodeInline(image.config, image.layers, name);
        return made(inline?.cache, async () => await Promise.resolve(inline?.memory));
      }
      checkConfigSize(parts.config);
      await fetchBlob(from, parts.config, () => undefined, signal);
      const { memory } = parts;
      const readMemory = memoryReader(engine, { name, memory, fetch });
      return made(decodeCacheConfig(engine.content.read(parts.config.digest, configLimit), parts.layers, name), readMemory);
    },
  };
}

/** Writing throws `registry/...`, `content/...`. */
export function registryDestination(engine: Engine, target: Extract<OutwardTarget, { readonly kind: 'registry' }>): CacheDestination {
  const reference = withDefaultTag(parseReference(target.reference));
  return {
    name: printReference(reference),
    title: 'exporting cache to registry',
    write: async (writing, signal) => {
      const { manifest, knownAt, say } = writing;
      const documents = [manifest.config, ...(manifest.memory === undefined ? [] : [manifest.memory])].map(({ descriptor }) => descriptor);
      const mountFrom = knownAt.filter(({ registry }) => registry === reference.registry).map(({ repository }) => repository);
      await pushDocument(
        {
          reference,
          client: await engine.registry(),
          manifest,
          blobs: [...manifest.layers, ...documents],
          openBlob: writing.openBlob,
          mountFrom: [...new Set(mountFrom)],
        },
        (event) => {
          if (event.kind === 'transfer' && isOver(event) && !documents.some(({ digest }) => digest === event.item))
            say(`writing layer ${event.item} done`);
        },
        signal,
      );
      sayManifest(writing, target);
    },
  };
}

function isOver({ state }: TransferProgress): boolean {
  return state !== 'waiting' && state !== 'running';
}
