/** `jettison du` and `system df` */
import { chainIds } from '#formats/oci/layer-ids.ts';
import { imageRows } from '#stores/image/rows.ts';
import { openKeeper } from '#execution/worker/keeper.ts';
import { isUp, listContainers } from './containers.ts';
import { imagesOfContainer } from './mounted-images.ts';
import type { Engine } from './open.ts';
import type { CacheUse, DiskUse } from './space-requests.ts';
import { blobsOfImage, takeAccount, type SpaceItem } from './space/account.ts';
import { describeUse } from './space/describe.ts';
import { matchesCacheFilters, type CacheFilters } from './space-filters.ts';
import { listVolumes, volumeSize } from './volumes.ts';

/** Everything that takes up space, the longest unused first. Nothing is walked through: sizes were found when the store was tended. */
export async function listCacheUse(engine: Engine, filters: CacheFilters): Promise<readonly CacheUse[]> {
  const matches = matchesCacheFilters(filters, engine.now());
  return (await accountOf(engine)).filter(matches).toSorted(byUse).map(describeUse);
}

function byUse(a: SpaceItem, b: SpaceItem): number {
  return b.lastUsedAt - a.lastUsedAt || (a.id < b.id ? -1 : 1);
}

async function accountOf(engine: Engine): Promise<readonly SpaceItem[]> {
  engine.lookForGarbage();
  await using keeper = await openKeeper(engine.paths.store);
  return takeAccount(engine, { snapshots: keeper.snapshots(), cacheMounts: keeper.cacheMounts() });
}

/** What images, containers and the build cache take up. */
export async function diskUse(engine: Engine): Promise<DiskUse> {
  const account = await accountOf(engine);
  const sizes = new Map(account.map((item) => [item.id, item]));
  const containers = engine.containers.list();
  const usedImages = new Set(containers.flatMap(({ spec }) => imagesOfContainer(spec)));
  const owners = ownersOfBytes(engine, sizes);
  const images = imageRows(engine.images, new Set()).map((row) => ({
    ...row,
    sharedBytes: owners.bytesOf(row.id, 'shared'),
    uniqueBytes: owners.bytesOf(row.id, 'unique'),
    containers: containers.filter(({ spec }) => imagesOfContainer(spec).includes(row.id)).length,
  }));
  const cache = account.filter((item) => item.holder !== 'image' && item.holder !== 'container');
  const rows = listContainers(engine, { all: true });
  return {
    images,
    imageBytes: owners.total,
    reclaimableImageBytes: owners.total - owners.bytesHeldBy(usedImages),
    containers: containers.map((container, index) => ({
      ...(rows[index] ?? {
        id: container.id,
        name: container.name,
        image: container.spec.image,
        command: '',
        state: container.state.kind,
        labels: {},
        created: container.created,
        status: '',
        mounts: [],
        localVolumes: 0,
        networks: [],
        platform: '',
      }),
      isRunning: container.state.kind === 'running',
      bytes: sizes.get(container.snapshot ?? '')?.bytes ?? 0,
      volumes: new Set(container.spec.mounts.flatMap((mount) => (mount.kind === 'volume' ? [mount.name] : []))).size,
    })),
    volumes: listVolumes(engine, everyVolume).map(({ name, users }) => ({
      name,
      users: users.length,
      isActive: containers.some(({ id, state }) => users.includes(id) && isUp(state)),
      bytes: volumeSize(engine, name),
    })),
    cache: cache.toSorted(byUse).map(describeUse),
  };
}

const everyVolume = { dangling: undefined, drivers: [], names: [], labels: [] };

/** Which images share which things. */
function ownersOfBytes(engine: Engine, sizes: ReadonlyMap<string, SpaceItem>) {
  const owners = new Map<string, Set<string>>();
  const bytes = new Map<string, number>();
  for (const { imageId, layers } of engine.images.list()) {
    const add = (thing: string, size: number): void => {
      owners.set(thing, (owners.get(thing) ?? new Set()).add(imageId));
      bytes.set(thing, size);
    };
    for (const chain of chainIds(layers.map((layer) => layer.diffId))) {
      for (const item of chainOf(sizes, engine.images.snapshotOf(chain))) add(item.id, item.bytes);
    }
    for (const digest of blobsOfImage(engine, imageId)) add(digest, engine.content.size(digest) ?? 0);
  }
  const sum = (isWanted: (owners: ReadonlySet<string>) => boolean): number =>
    [...owners].reduce((total, [thing, who]) => total + (isWanted(who) ? (bytes.get(thing) ?? 0) : 0), 0);
  return {
    total: sum(() => true),
    bytesHeldBy: (images: ReadonlySet<string>) => sum((who) => [...who].some((image) => images.has(image))),
    bytesOf: (image: string, which: 'shared' | 'unique') => sum((who) => who.has(image) && (which === 'unique') === (who.size === 1)),
  };
}

/** A thing and all that it stands on. */
function chainOf(sizes: ReadonlyMap<string, SpaceItem>, id: string | undefined): ReadonlySet<SpaceItem> {
  const found = new Set<SpaceItem>();
  const waiting = [sizes.get(id ?? '')];
  for (let item = waiting.pop(); item !== undefined; item = waiting.pop()) {
    found.add(item);
    waiting.push(...[item.parent ?? '', ...item.also].flatMap((under) => sizes.get(under) ?? []));
  }
  return found;
}
