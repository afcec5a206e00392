/** Opens what all use cases share. Wiring only: stores are opened at once (a millisecond), registry and worker when first needed. */
import { getCompileCacheDir } from 'node:module';
import { dirname, join } from 'node:path';
import { cacheTables, evictionTables, openCacheRecords, type CacheRecords } from '#execution/cache/records.ts';
import { containerTables, openContainerStore, type ContainerStore } from '#execution/container/store.ts';
import type { Worker } from '#execution/worker/contract.ts';
import type { Report } from '#formats/progress/event.ts';
import { openContentStore, type ContentStore } from '#stores/content/store.ts';
import { statCacheTables } from '#stores/context/stat-cache.ts';
import { openDatabase, type Database } from '#stores/db/open.ts';
import { imageTables, manifestFormTables, openImageStore, type ImageStore } from '#stores/image/store.ts';
import type { RegistryClient } from '#stores/registry/client.ts';
import { readConfig, type Config } from './config.ts';
import { layerChainTables, openLayerChains, type LayerChains } from './layer-chains.ts';
import { findPaths, type Paths } from './paths.ts';
import { makeStoreFolder } from './store-folder.ts';

export type Engine = AsyncDisposable & {
  readonly paths: Paths;
  readonly config: Config;
  readonly currentFolder: string;
  readonly environment: EngineOptions['environment'];
  readonly database: Database;
  readonly images: ImageStore;
  readonly layerChains: LayerChains;
  readonly containers: ContainerStore;
  readonly content: ContentStore;
  readonly records: CacheRecords;
  readonly now: () => number;
  registry(): Promise<RegistryClient>;
  /** The worker of this process; started by the first who asks. */
  worker(signal: AbortSignal): Promise<Worker>;
  /** A worker of its own whose standard streams are this process's, for one container. */
  attachedWorker(signal: AbortSignal): Promise<Worker>;
};

export type EngineOptions = {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly currentFolder: string;
  readonly report?: Report;
  /** Wins over the configuration file. */
  readonly network?: Config['network'];
};

export async function openEngine(options: EngineOptions): Promise<Engine> {
  const paths = findPaths(options.environment);
  makeStoreFolder(paths.store);
  const config = readConfig(paths.config);
  const report = options.report ?? ((): void => undefined);
  await using opened = new AsyncDisposableStack();
  const database = opened.use(
    openDatabase({
      file: join(paths.store, 'engine.db'),
      migrations: [imageTables, cacheTables, statCacheTables, layerChainTables, containerTables, evictionTables, manifestFormTables],
    }),
  );
  for (const text of database.notes) report({ kind: 'note', text });

  let registry: Promise<RegistryClient> | undefined;
  let worker: Promise<Worker> | undefined;
  const startWorker = async (stdio: 'inherit' | 'none', signal: AbortSignal): Promise<Worker> => {
    const { startLocalWorker } = await import('#execution/worker/local.ts');
    return await startLocalWorker({ store: paths.store, stdio, environment: workerEnvironment(options.environment), report }, signal);
  };
  opened.defer(async () => {
    if (worker !== undefined) await (await worker.catch(() => undefined))?.[Symbol.asyncDispose]();
  });

  const resources = opened.move();
  return {
    paths,
    config,
    currentFolder: options.currentFolder,
    environment: options.environment,
    database,
    images: openImageStore(database),
    layerChains: openLayerChains(database),
    containers: openContainerStore(database),
    content: openContentStore({ folder: join(paths.store, 'content') }),
    records: openCacheRecords(database),
    now: Date.now,
    registry: async () => {
      registry ??= (async () => {
        const { createRegistryClient } = await import('#stores/registry/client.ts');
        const { createCredentials } = await import('#stores/registry/credentials.ts');
        return createRegistryClient({
          config: config.registries,
          findCredential: createCredentials({ environment: options.environment }),
          environment: options.environment,
          timing: { ...config.network, ...options.network },
        });
      })();
      return await registry;
    },
    worker: async (signal) => {
      worker ??= startWorker('none', signal);
      return await worker;
    },
    attachedWorker: async (signal) => await startWorker('inherit', signal),
    [Symbol.asyncDispose]: async () => await resources.disposeAsync(),
  };
}

/**
 * What a worker may see of the user's environment: where programs are, and what helps to find a fault. It keeps its compiled code where
 * this process does: Node's own default is a folder below /tmp, where others may have put theirs.
 */
function workerEnvironment(environment: EngineOptions['environment']): Readonly<Record<string, string>> {
  const compiled = getCompileCacheDir();
  const cache = compiled === undefined ? {} : { NODE_COMPILE_CACHE: dirname(compiled) };
  const kept = ['PATH', 'NODE_DEBUG', 'TMPDIR', 'TERM'].flatMap((name) => {
    const value = environment[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', ...cache, ...Object.fromEntries(kept) };
}
