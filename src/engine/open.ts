/** Opens what all use cases share. Wiring only: stores are opened at once (a millisecond), registry and worker when first needed. */
import { getCompileCacheDir } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import type { FailedSteps } from '#execution/builds/failed-steps.ts';
import { buildTables, failedStepTables } from '#execution/builds/keep.ts';
import type { BuildStore } from '#execution/builds/store.ts';
import {
  cacheTables,
  evictionTables,
  openCacheRecords,
  shapeTables,
  turnTables,
  worthTables,
  type CacheRecords,
} from '#execution/cache/records.ts';
import { claimProcesses, claimTables, openClaims, type Claims } from '#execution/cache/claims.ts';
import { containerSpecs, containerTables, openContainerStore, type ContainerStore } from '#execution/container/store.ts';
import type { ContainerNetwork } from '#execution/network/container-network.ts';
import type { NetworkStore } from '#execution/network/store.ts';
import { networkTables } from '#execution/network/tables.ts';
import type { ContainerWorker, Worker } from '#execution/worker/contract.ts';
import type { IsolationWish } from '#execution/worker/isolation.ts';
import type { Report } from '#formats/progress/event.ts';
import { openContentStore, type ContentStore } from '#stores/content/store.ts';
import { createClock } from '#ground/base/clock.ts';
import { isCode } from '#ground/base/errors.ts';
import { copyMemoryTables } from '#stores/context/copy-memory.ts';
import { packedStatTables, statCacheTables } from '#stores/context/stat-cache.ts';
import { lastBootTable } from '#stores/db/last-boot.ts';
import { clearDeadLeases, isLeaseHeld, listLeases, takeLease, type Lease } from '#stores/db/lease.ts';
import { openDatabase, type Database } from '#stores/db/open.ts';
import { indexTables, openIndexStore, type IndexStore } from '#stores/image/indexes.ts';
import { manifestListTables } from '#stores/image/manifest-lists.ts';
import { ledgerTables } from '#stores/image/ledger-tables.ts';
import { openOriginals, originalTables, type OriginalStore } from '#stores/image/originals.ts';
import { lineageTables, openImageLineage, type ImageLineage } from '#stores/image/lineage.ts';
import {
  imageTables,
  blobAnnotationsColumn,
  madeHereColumn,
  manifestFormTables,
  openImageStore,
  originTables,
  type ImageStore,
} from '#stores/image/store.ts';
import { openEventRecord, type EventRecord } from '#stores/events/record.ts';
import type { RegistryClient } from '#stores/registry/client.ts';
import type { FindCredential } from '#stores/registry/credentials.ts';
import { openVolumeStore, volumeTables, type VolumeStore } from '#stores/volume/store.ts';
import { readConfig, type Config } from './config.ts';
import { copiedNameTables, openCopiedNames, type CopiedNames } from './copied-names.ts';
import { imageMountTables } from './mounted-images.ts';
import { foldedChainTables, openFoldedChains, type FoldedChains } from './folded-chains.ts';
import { layerChainTables, openLayerChains, type LayerChains } from './layer-chains.ts';
import { tellingVolumes } from './note-events.ts';
import { findPaths, type Paths } from './paths.ts';
import { parseSpaceLimit } from './space-limit.ts';
import { makeStoreFolder } from './store-folder.ts';
import { createTending } from './tending.ts';
import { createWaits, type Waits } from './waits.ts';

export type Engine = AsyncDisposable & {
  readonly paths: Paths;
  readonly config: Config;
  readonly currentFolder: string;
  readonly environment: EngineOptions['environment'];
  /** By what means steps are to be kept apart; what of it is undefined is found out. */
  readonly wish: IsolationWish;
  /** How long the network may keep us waiting, as configuration and command line say. */
  readonly network: Config['network'];
  /** What the network keeps waiting, and what is tried again. */
  readonly waits: Waits;
  readonly database: Database;
  readonly images: ImageStore;
  readonly indexes: IndexStore;
  readonly originals: OriginalStore;
  /** Which image was made from which. */
  readonly lineage: ImageLineage;
  readonly copiedNames: CopiedNames;
  readonly layerChains: LayerChains;
  readonly foldedChains: FoldedChains;
  readonly containers: ContainerStore;
  /** Networks of containers; opened by the first who asks. */
  networks(): Promise<NetworkStore>;
  readonly volumes: VolumeStore;
  /** What happened last to containers, images, volumes and networks. */
  readonly events: EventRecord;
  readonly content: ContentStore;
  readonly records: CacheRecords;
  /** What this and other processes are running now. */
  readonly claims: Claims;
  /** Where the past builds keep logs and lists of files. */
  readonly buildFolder: string;
  /** The past builds; opened by the first who asks. */
  builds(): Promise<BuildStore>;
  /** What is left of steps that failed. */
  failedSteps(): Promise<FailedSteps>;
  readonly now: () => number;
  /** Tells what a person should know. */
  note(text: string): void;
  registry(): Promise<RegistryClient>;
  /** What docker's own settings have each RUN and each container go through, by names in upper case; read by the first who asks. */
  proxies(): Promise<ReadonlyMap<string, string>>;
  /**
   * From now on, and until this engine is disposed, what this process uses or makes counts as in use, whoever prunes. Call it before the first look at what must
   * not go; a prune that was at work then is waited for. Gives the name of the lease.
   */
  hold(): string;
  /** What this process makes counts as in use no longer: for one that goes on and on. */
  letGo(): void;
  /** Since when others, or this process, are at work (milliseconds since the epoch); undefined when nobody is. */
  leasedSince(): number | undefined;
  /** Passwords and tokens that registries were shown so far, by host. */
  passwords(): ReadonlyMap<string, string>;
  /** There is something to remove that nobody should wait for. */
  leaveGarbage(): void;
  /** What this process has opened of the worker's part of the store may have garbage in it, its own or of others that were killed: whoever tends the store is to look. */
  lookForGarbage(): void;
  /** The worker of this process; started by the first who asks. */
  worker(signal: AbortSignal): Promise<Worker>;
  /** Nobody wants more of the worker for now: it ends beside what is left to do. Whoever asks for one after that gets another. */
  dismissWorker(): void;
  /** A worker of its own for one container; `inherit`: its standard streams are this process's. */
  containerWorker(stdio: 'inherit' | 'none', network: ContainerNetwork['worker'], signal: AbortSignal): Promise<Worker>;
  /** What holds a container: this process itself where that may be, else such a worker. */
  containerHolder(stdio: 'inherit' | 'none', network: ContainerNetwork['worker'], signal: AbortSignal): Promise<ContainerWorker>;
  /** A worker of its own that files go in and out of; `beside`: a process whose user namespace it joins. */
  filesWorker(beside: number | undefined, signal: AbortSignal): Promise<Worker>;
};

export type EngineOptions = {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly currentFolder: string;
  readonly report?: Report;
  /** Wins over the configuration file. */
  readonly network?: Config['network'];
  /** What the build cache may take up afterwards, as it was asked for: see keep-space.ts. undefined: as environment and configuration say. */
  readonly cacheMax?: string;
  /** By what means steps are kept apart, as it was asked for: see `--isolation`. undefined: as the environment says, or as good as this machine gives. */
  readonly isolation?: string;
  /** The process ends when this engine has been disposed: then nobody waits for what the process's end does as well. */
  readonly untilExit?: boolean;
};

export async function openEngine(options: EngineOptions): Promise<Engine> {
  const paths = findPaths(options.environment);
  makeStoreFolder(paths.store);
  const config = readConfig(paths.config);
  const report = options.report ?? ((): void => undefined);
  const network = { ...config.network, ...options.network };
  await using opened = new AsyncDisposableStack();
  const database = openEngineDatabase(paths);
  opened.defer(() => (options.untilExit === true ? database.leave() : database[Symbol.dispose]()));
  for (const text of database.notes) report({ kind: 'note', text });

  for (const text of [options.cacheMax, options.environment['JETTISON_CACHE_MAX']]) if (text) parseSpaceLimit(text);
  const wish = await readIsolation(options);
  const now = createClock();
  const waits = createWaits(report, now);
  const leases = join(paths.store, 'leases');
  let lease: Lease | undefined;
  const tending = createTending(paths, options);
  // A command that was killed and its worker may have left more than this: whoever tends the store clears it up.
  if (clearDeadLeases(leases)) tending.leaveMark();
  opened.defer(async () => {
    lease?.[Symbol.dispose]();
    await tending.begin();
  });
  const hold = (): Lease => {
    if (lease !== undefined) return lease;
    lease = takeLease(leases, now());
    database.transaction(() => {});
    return lease;
  };

  const passwords = new Map<string, string>();
  let builds: Promise<BuildStore> | undefined;
  let networks: Promise<NetworkStore> | undefined;
  let registry: Promise<RegistryClient> | undefined;
  let proxies: Promise<ReadonlyMap<string, string>> | undefined;
  let worker: Promise<Worker> | undefined;
  const dismissed = new Set<Promise<void>>();
  const startWorker = async (
    stdio: 'inherit' | 'pipe' | 'none',
    signal: AbortSignal,
    outer?: { readonly network?: ContainerNetwork['worker']; readonly beside?: number },
  ): Promise<Worker> => {
    hold();
    const { startWorker: startBest } = await import('#execution/worker/start.ts');
    const starting = startBest(
      {
        wish,
        store: paths.store,
        stdio,
        now,
        environment: workerEnvironment(options.environment),
        report,
        ...outer,
      },
      signal,
    );
    // The worker takes its time to start.
    void tending.prepare();
    return await starting;
  };
  let isInner = false;
  /** In this process, where that may be, and nobody is told of a rung that is not the best. */
  const openInner = async (outer: ContainerNetwork['worker'], signal: AbortSignal): Promise<ContainerWorker | undefined> => {
    if (isInner || options.untilExit !== true || process.getuid?.() !== 0 || outer.kind === 'own' || outer.kind === 'joined')
      return undefined;
    const { rungsFor } = await import('#execution/worker/rungs.ts');
    if (rungsFor(paths.store, wish, options.environment['PATH'] ?? '')[0] !== 'oci') return undefined;
    isInner = true;
    hold();
    const { openInnerWorker } = await import('#execution/worker/inner.ts');
    const given = { store: paths.store, tree: wish.tree ?? 'auto', now, report, network: outer } as const;
    const inner = await openInnerWorker(given, signal);
    if (inner !== undefined) tending.look();
    return inner;
  };
  const dismissWorker = (): void => {
    if (worker === undefined) return;
    const leaving = worker.then(
      async (started) => await started[Symbol.asyncDispose](),
      () => undefined,
    );
    worker = undefined;
    leaving.catch(() => undefined);
    dismissed.add(leaving);
  };
  opened.defer(async () => {
    dismissWorker();
    await Promise.all(dismissed);
  });

  const containers = openContainerStore(database, join(paths.store, 'containers'));
  const events = openEventRecord(join(paths.store, 'events'), now);
  const resources = opened.move();
  return {
    paths,
    config,
    currentFolder: options.currentFolder,
    environment: options.environment,
    wish,
    network,
    waits,
    database,
    images: openImageStore(database),
    indexes: openIndexStore(database),
    originals: openOriginals(database),
    lineage: openImageLineage(database),
    copiedNames: openCopiedNames(database),
    layerChains: openLayerChains(database),
    foldedChains: openFoldedChains(database),
    containers,
    networks: async () => {
      networks ??= import('#execution/network/store.ts').then(({ openNetworkStore }) => openNetworkStore(database, containers.isHeld, now));
      return await networks;
    },
    volumes: tellingVolumes(openVolumeStore(database, join(paths.store, 'volumes')), events),
    events,
    content: openContentStore({ folder: join(paths.store, 'content') }),
    records: openCacheRecords(database),
    claims: openClaims(database, { own: () => hold().name, isHeld: (name) => isLeaseHeld(leases, name) }),
    buildFolder: join(paths.store, 'builds'),
    builds: async () => {
      builds ??= import('#execution/builds/store.ts').then(({ openBuildStore }) => openBuildStore(database, join(paths.store, 'builds')));
      return await builds;
    },
    failedSteps: async () => (await import('#execution/builds/failed-steps.ts')).openFailedSteps(database),
    now,
    note: (text) => report({ kind: 'note', text }),
    hold: () => hold().name,
    letGo: () => {
      lease?.[Symbol.dispose]();
      lease = undefined;
    },
    leasedSince: () => listLeases(leases)[0]?.since,
    passwords: () => passwords,
    leaveGarbage: () => tending.leaveMark(),
    lookForGarbage: () => tending.look(),
    registry: async () => {
      registry ??= (async () => {
        const { createRegistryClient } = await import('#stores/registry/client.ts');
        const { createCredentials } = await import('#stores/registry/credentials.ts');
        return createRegistryClient({
          config: config.registries,
          findCredential: noting(createCredentials({ environment: options.environment }), passwords),
          environment: options.environment,
          timing: network,
          onWait: waits.tell,
        });
      })();
      return await registry;
    },
    proxies: async () => await (proxies ??= findProxies(options.environment, report)),
    worker: async (signal) => {
      worker ??= startWorker('none', signal);
      return await worker;
    },
    dismissWorker,
    containerWorker: async (stdio, outer, signal) => await startWorker(stdio, signal, { network: outer }),
    containerHolder: async (stdio, outer, signal) =>
      (stdio === 'inherit' ? await openInner(outer, signal) : undefined) ?? (await startWorker(stdio, signal, { network: outer })),
    filesWorker: async (beside, signal) => await startWorker('pipe', signal, beside === undefined ? {} : { beside }),
    [Symbol.asyncDispose]: async () => await resources.disposeAsync(),
  };
}

/** Asked for on the command line, else in JETTISON_ISOLATION. Throws `linux/bad-isolation`. */
async function readIsolation({ isolation, environment }: EngineOptions): Promise<IsolationWish> {
  const text = isolation ?? (environment['JETTISON_ISOLATION'] || undefined);
  if (text === undefined) return {};
  const { parseIsolation } = await import('#execution/worker/isolation.ts');
  return parseIsolation(text);
}

/** None where docker's settings cannot be read, which is told: docker goes on without them, too. */
async function findProxies(environment: EngineOptions['environment'], report: Report): Promise<ReadonlyMap<string, string>> {
  const { readDockerProxies } = await import('#stores/registry/docker-proxies.ts');
  try {
    return readDockerProxies(environment);
  } catch (error) {
    if (!isCode(error, 'registry/bad-docker-config')) throw error;
    report({ kind: 'note', text: `Go on without the "proxies" of docker's settings: ${error.message}` });
    return new Map();
  }
}

/** What is found is noted by host. */
function noting(find: FindCredential, passwords: Map<string, string>): FindCredential {
  return async (host, signal) => {
    const found = await find(host, signal);
    if (found !== undefined) passwords.set(host, found.kind === 'password' ? found.password : found.token);
    return found;
  };
}

function openEngineDatabase(paths: Paths): Database {
  return openDatabase({
    file: join(paths.store, 'engine.db'),
    migrations: [
      imageTables,
      cacheTables,
      statCacheTables,
      layerChainTables,
      containerTables,
      evictionTables,
      manifestFormTables,
      worthTables,
      buildTables,
      claimTables,
      claimProcesses,
      turnTables,
      packedStatTables,
      copyMemoryTables,
      shapeTables,
      lastBootTable,
      containerSpecs,
      networkTables,
      indexTables,
      originalTables,
      lineageTables,
      copiedNameTables,
      manifestListTables,
      volumeTables,
      madeHereColumn,
      failedStepTables,
      blobAnnotationsColumn,
      imageMountTables,
      originTables,
      foldedChainTables,
      ledgerTables,
    ],
  });
}

/**
 * What a worker may see of the user's environment: where programs are, and what helps to find a fault. It keeps its compiled code where
 * this process does: Node's own default is a folder below /tmp, where others may have put theirs.
 */
export function workerEnvironment(environment: EngineOptions['environment']): Readonly<Record<string, string>> {
  const compiled = getCompileCacheDir();
  const cache = compiled === undefined ? {} : { NODE_COMPILE_CACHE: dirname(compiled) };
  const kept = ['PATH', 'NODE_DEBUG', 'TMPDIR', 'TERM'].flatMap((name) => {
    const value = environment[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  // Layers are compressed in libuv's pool, which has four threads unless it is told otherwise before it starts.
  const pool = { UV_THREADPOOL_SIZE: String(Math.max(4, availableParallelism())) };
  // Threads of glibc take memory from heaps of their own, which keep what was freed in them: 50 MB in a worker that unpacks two layers.
  const memory = { MALLOC_ARENA_MAX: '1' };
  return {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    ...pool,
    ...memory,
    ...cache,
    ...Object.fromEntries(kept),
  };
}
