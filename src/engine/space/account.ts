/**
 * What takes up space in a store, and who holds it:
 *
 *     images, containers --> snapshots, through the chain of their layers; blobs of these layers, manifests, configs
 *     work in progress   --> what it has used or made since its lease began
 *     cache records      --> snapshots; nobody holds these, they are kept for what they save
 *     a snapshot         --> what it stands on
 *     failed steps       --> what they left: kept like a cache record, until their project is built again (`builds/failed-steps.ts`)
 *     images of steps    --> nothing: they go with their files (`stores/image/lineage.ts`)
 *
 * What nobody holds and no record knows is garbage: the loser of a step that ran twice, layers of an image that is gone.
 */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { chainIds } from '#formats/oci/layer-ids.ts';
import type { Digest } from '#ground/base/digest.ts';
import { documentsOf } from '#stores/image/indexes.ts';
import { listDownloads } from '#stores/context/kept-downloads.ts';
import { openFailedSteps } from '#execution/builds/failed-steps.ts';
import type { ListedRecord } from '#execution/cache/records.ts';
import { parseSnapshotId } from '#execution/worker/contract.ts';
import type { KeptCacheMount, KeptSnapshot } from '#execution/worker/keeper.ts';
import type { ImageRecord } from '#stores/image/store.ts';
import { listMounts } from '../mounted-images.ts';
import type { Engine } from '../open.ts';
import { snapshotResult } from '../results.ts';

/** `build`: a build, pull, push or the like that is running. */
export type Holder = 'image' | 'container' | 'build';

export type SpaceItem = {
  readonly kind: 'snapshot' | 'cache-mount' | 'download' | 'blob';
  readonly id: string;
  /** BuildKit's names: `regular`, `exec.cachemount`, `internal`, and `source.http`. */
  readonly type: string;
  readonly description: string;
  readonly parent: string | undefined;
  /** What else it stands on. */
  readonly also: readonly string[];
  /** Bytes that are free when it is gone. */
  readonly bytes: number;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  readonly lastUsedAt: number;
  readonly uses: number;
  /** Who needs it, or something that stands on it; undefined: it may go. */
  readonly holder: Holder | undefined;
  readonly garbage: boolean;
  /** Milliseconds that it took to make, and what it was made of. */
  readonly cost: number;
  readonly inputs: readonly { readonly id: string; readonly rebuild: number }[];
};

/** What lies on disk: read before the databases are, as it may take long. */
export type OnDisk = { readonly snapshots: readonly KeptSnapshot[]; readonly cacheMounts: readonly KeptCacheMount[] };

/** Bytes in a millisecond: what has no recorded cost is taken to come over a network of 20 MB a second. */
const fetchSpeed = 20_000;
/** File times are as coarse as the kernel's ticks; clocks of processes are not. */
const slack = 1000;

/** Everything that can be listed, oldest first. In a transaction, nothing changes between this and what is done about it. */
export function takeAccount(engine: Engine, disk: OnDisk): readonly SpaceItem[] {
  const since = engine.leasedSince();
  const busySince = since === undefined ? Infinity : since - slack;
  const inUse = (time: number): Holder | undefined => (time >= busySince ? 'build' : undefined);
  return [
    ...snapshotItems(engine, disk.snapshots, inUse),
    ...disk.cacheMounts.map((mount) => ({ ...bare('cache-mount', 'exec.cachemount', mount), holder: inUse(mount.lastUsedAt) })),
    ...listDownloads(downloadsFolder(engine)).map((download) => ({
      ...bare('download', download.kind === 'git' ? 'source.git.checkout' : 'source.http', download),
      holder: inUse(download.lastUsedAt),
    })),
    ...blobItems(engine, busySince < Infinity),
  ];
}

export function downloadsFolder(engine: Engine): string {
  return join(engine.paths.store, 'downloads');
}

function bare(kind: SpaceItem['kind'], type: string, thing: KeptCacheMount): Omit<SpaceItem, 'holder'> {
  return {
    ...thing,
    bytes: thing.bytes,
    kind,
    type,
    parent: undefined,
    also: [],
    uses: 1,
    garbage: false,
    cost: thing.bytes / fetchSpeed,
    inputs: [],
  };
}

type Draft = { holder: Holder | undefined; lastUsedAt: number; garbage: boolean };

function snapshotItems(
  engine: Engine,
  snapshots: readonly KeptSnapshot[],
  inUse: (time: number) => Holder | undefined,
): readonly SpaceItem[] {
  const records = Map.groupBy(engine.records.list(), (record) => record.resultId);
  const holders = snapshotHolders(engine);
  const failed = openFailedSteps(engine.database).snapshots();
  const drafts = new Map<string, Draft>();
  // Children first: what they are to anybody, that which they stand on is, too.
  for (const { id, parent, content, createdAt } of snapshots.toReversed()) {
    const known = records.get(snapshotResult(id).id) ?? [];
    const lastUsedAt = Math.max(createdAt, ...known.map((record) => record.lastUsedAt), drafts.get(id)?.lastUsedAt ?? 0);
    const holder = holders.get(id) ?? drafts.get(id)?.holder ?? inUse(lastUsedAt);
    const garbage = holder === undefined && known.length === 0 && !failed.has(id) && (drafts.get(id)?.garbage ?? true);
    drafts.set(id, { holder, lastUsedAt, garbage });
    for (const under of supportsOf({ id, parent, content })) {
      const below = drafts.get(under);
      drafts.set(under, {
        holder: below?.holder ?? holder,
        lastUsedAt: Math.max(below?.lastUsedAt ?? 0, lastUsedAt),
        garbage: (below?.garbage ?? true) && garbage,
      });
    }
  }
  return snapshots.map((snapshot) => {
    const draft = drafts.get(snapshot.id) ?? { holder: undefined, lastUsedAt: snapshot.createdAt, garbage: false };
    const step = failed.get(snapshot.id);
    const left = step === undefined ? {} : { description: `left by a step that failed: ${step}` };
    return { ...describeSnapshot(snapshot, records.get(snapshotResult(snapshot.id).id) ?? []), ...left, ...draft };
  });
}

/** What cannot go before it: first what has its bytes, then what it stands on. */
function supportsOf({ id, parent, content }: Pick<KeptSnapshot, 'id' | 'parent' | 'content'>): readonly string[] {
  return [...(content === id ? [] : [content]), ...(parent === undefined ? [] : [parent])];
}

function describeSnapshot(
  { id, parent, content, bytes, createdAt }: KeptSnapshot,
  records: readonly ListedRecord[],
): Omit<SpaceItem, 'holder' | 'garbage' | 'lastUsedAt'> {
  const last = records.at(-1);
  const [first, ...others] = supportsOf({ id, parent, content });
  return {
    kind: 'snapshot',
    id,
    type: 'regular',
    description: last?.description ?? 'layer of an image',
    parent: first,
    also: others,
    bytes,
    createdAt,
    uses: records.reduce((sum, record) => sum + record.uses, 0),
    cost: last === undefined ? bytes / fetchSpeed : Math.max(...records.map((record) => record.cost)),
    inputs: (last?.inputs ?? []).flatMap(({ resultId, rebuild }) =>
      resultId.startsWith('snapshot:') ? [{ id: resultId.slice('snapshot:'.length), rebuild }] : [],
    ),
  };
}

/** Snapshots that images and containers name; what these stand on is not listed. */
function snapshotHolders(engine: Engine): ReadonlyMap<string, Holder> {
  const holders = new Map<string, Holder>();
  for (const image of holdingImages(engine)) {
    for (const chain of chainIds(image.layers.map((layer) => layer.diffId))) {
      const snapshot = engine.images.snapshotOf(chain);
      if (snapshot !== undefined) holders.set(parseSnapshotId(snapshot), 'image');
    }
  }
  for (const { snapshot } of engine.containers.list()) if (snapshot !== undefined) holders.set(snapshot, 'container');
  return holders;
}

/** Blobs that belong to no image. While anybody works with the store, all of them stay: they may just be on their way into an image. */
function blobItems(engine: Engine, isBusy: boolean): readonly SpaceItem[] {
  const held = heldBlobs(engine);
  return [...engine.content.list()].flatMap(({ digest, size }) => {
    if (held.has(digest)) return [];
    const stats = statSync(engine.content.path(digest), { throwIfNoEntry: false });
    if (stats === undefined) return [];
    const time = Math.floor(stats.mtimeMs);
    const bytes = stats.blocks * 512;
    const isDocument = size <= documentLimit;
    const thing = {
      id: digest,
      description: isDocument ? 'document of a registry' : 'compressed layer',
      bytes,
      createdAt: time,
      lastUsedAt: time,
    };
    const item = bare('blob', isDocument ? 'internal' : 'regular', thing);
    return [{ ...item, cost: item.cost + (isDocument ? 500 : 0), holder: isBusy ? ('build' as const) : undefined }];
  });
}

/** A blob that no image has and is no larger is taken for a manifest or a config: what a build must ask a registry for. */
const documentLimit = 64 * 1024;

/** Digests of all that belongs to an image of the store. */
export function heldBlobs(engine: Engine): ReadonlySet<Digest> {
  const held = new Set<Digest>();
  for (const image of holdingImages(engine)) for (const digest of blobsOfImage(engine, image.imageId)) held.add(digest);
  for (const index of engine.indexes.list()) for (const digest of documentsOf(index)) held.add(digest);
  return held;
}

/** The image of a step holds nothing, unless it is mounted: it is there as long as its files are. */
function holdingImages(engine: Engine): readonly ImageRecord[] {
  const steps = engine.lineage.steps();
  const mounted = new Set(listMounts(engine).map(({ id }) => id));
  return engine.images.list().filter(({ imageId }) => !steps.has(imageId) || mounted.has(imageId));
}

function listedOrigins(engine: Engine, imageId: Digest): readonly Digest[] {
  const files = engine.images.originsList(imageId);
  return files === undefined ? [] : [files];
}

/** Digests of an image's config, manifests and layers as blobs, whether these are there or not. */
export function blobsOfImage(engine: Engine, imageId: Digest): Digest[] {
  const image = engine.images.get(imageId);
  if (image === undefined) return [];
  return [
    imageId,
    ...listedOrigins(engine, imageId),
    ...engine.images.manifestsOf(imageId).flatMap((known) => [known.digest, known.manifest]),
    ...image.layers.flatMap(({ diffId }) => engine.images.blobsOf(diffId).map((form) => form.digest)),
  ];
}
