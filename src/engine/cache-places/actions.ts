/**
 * A cache in the cache service of GitHub Actions, where BuildKit keeps its own: a blob under its digest, and for each scope that a token opens an
 * index, which is the list of records. There is no manifest: the list says what its layers are.
 */
import { decodeCacheConfig } from '#execution/cache/cache-config.ts';
import { exportedCache } from '#execution/cache/exported.ts';
import { configLimit } from '#formats/oci/image-config.ts';
import { digestOf, hexOf, type Digest } from '#ground/base/digest.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { openActionsCache, type ActionsCache, type ActionsScope } from '#stores/object/actions-cache.ts';
import type { Engine } from '../open.ts';
import type { ActionsCachePlace, ActionsCacheService, OutwardTarget } from '../cache-requests.ts';
import { version } from '../version.ts';
import type { CacheDestination, CacheOrigin } from './contract.ts';
import { memoryReader } from './documents.ts';
import { fetcherFrom, writeBlobs, type BlobContent } from './objects.ts';

type ActionsTarget = Extract<OutwardTarget, { readonly kind: 'actions' }>;

const lacks = 'it needs the address and the token of a job of GitHub Actions (ACTIONS_RESULTS_URL, ACTIONS_RUNTIME_TOKEN)';
/** Layers at once, each in blocks. */
const atOnce = 3;
/** For one request with all its tries, in milliseconds: BuildKit's. */
const usualTimeout = 10 * 60 * 1000;
/** Of the entries, not of what they hold: BuildKit's, so that blobs are shared. */
const format = '1';

/** Reading it throws `object/...`, `cache/bad-config`. */
export function actionsOrigin(engine: Engine, { scope, service }: ActionsCachePlace): CacheOrigin {
  const name = `gha:${scope}`;
  if (service === undefined) return { name, lacks, read: async () => await Promise.resolve(undefined) };
  return {
    name,
    patience: service.timeout,
    read: async (signal) => {
      const cache = open(engine, service, { isPatient: false });
      const readable = cache.scopes.filter(({ canRead }) => canRead);
      const documents = await Promise.all(readable.map(async (one) => await cache.readLatest(indexKey(scope, one), configLimit, signal)));
      const found = documents.flatMap((bytes) => (bytes && decodeCacheConfig(bytes, 'as said', name)) ?? []);
      if (found.length === 0) return undefined;
      const fetch = fetcherFrom(engine, `gha ${cache.host}`, async (blob, { sink }, own) => {
        return await cache.download(blobKey(blob.digest), { descriptor: blob, sink }, own);
      });
      const { memory } = found.find((one) => one.memory !== undefined) ?? {};
      const readMemory = memoryReader(engine, { name, memory, fetch });
      return { ...exportedCache(found.flatMap((one) => one.list())), repository: undefined, fetch, readMemory };
    },
  };
}

/** Writing throws `object/...`, `content/...`. */
export function actionsDestination(engine: Engine, target: ActionsTarget): CacheDestination {
  const { scope, service, listing } = target;
  const names = { name: `gha:${scope}`, title: 'exporting to GitHub Actions Cache' };
  if (service === undefined) return { ...names, lacks, write: async () => await Promise.resolve() };
  return {
    ...names,
    write: async (writing, signal) => {
      using cache = open(engine, service, { isPatient: true });
      const index = indexKey(scope, writableScope(cache.scopes));
      const api = listing && webAddress(listing.api);
      if (listing !== undefined && api === undefined) {
        throw new JettisonError('engine/bad-cache-address', "The address of GitHub's API is no web address", {
          hint: 'It is taken from GITHUB_API_URL',
        });
      }
      const known = listing && api && (await cache.listKeys({ ...listing, api, token: listing.token() }, blobKeyPrefix, signal));
      const write = async (content: BlobContent, own: AbortSignal): Promise<void> => {
        const key = blobKey(content.blob.digest);
        const isThere = known === undefined ? await cache.has(key, own) : known.has(key);
        if (!isThere) await cache.write(key, content, own);
      };
      await writeBlobs(writing, atOnce, write, signal);
      await cache.replace(index, writing.manifest.config.bytes, signal);
      writing.say(`writing cache index ${index} done`);
    },
  };
}

function open(engine: Engine, service: ActionsCacheService, { isPatient }: { readonly isPatient: boolean }): ActionsCache {
  const url = webAddress(service.url);
  if (url === undefined) {
    throw new JettisonError('engine/bad-cache-address', 'The address of the GitHub Actions cache is no web address', {
      hint: 'It is taken from "url" or "url_v2", else from ACTIONS_RESULTS_URL or ACTIONS_CACHE_URL',
    });
  }
  return openActionsCache({
    url,
    version: service.version,
    token: service.token(),
    timeout: service.timeout ?? usualTimeout,
    isPatient,
    userAgent: `jettison/${version}`,
    environment: engine.environment,
    timing: engine.network,
    onWait: engine.waits.tell,
    now: engine.now,
  });
}

function webAddress(given: string): URL | undefined {
  const url = URL.parse(given);
  return url !== null && ['http:', 'https:'].includes(url.protocol) ? url : undefined;
}

const blobKeyPrefix = `buildkit-blob-${format}-`;

function blobKey(digest: Digest): string {
  return `${blobKeyPrefix}${digest}`;
}

/** Each of a token's scopes has an index of its own: what one branch writes does not hide what another wrote. */
function indexKey(scope: string, { name }: Pick<ActionsScope, 'name'>): string {
  return `index-${scope}-${format}-${hexOf(digestOf(name)).slice(0, 8)}`;
}

/** A token for reading only has none: then the service refuses, in its own words. */
function writableScope(scopes: readonly ActionsScope[]): Pick<ActionsScope, 'name'> {
  return scopes.findLast(({ canWrite }) => canWrite) ?? { name: '' };
}
