/** `jettison prune`, `builder prune`, `image prune`, `container prune`, `system prune` */
import { decodeImageConfig } from '#formats/oci/image-config.ts';
import type { Digest } from '#ground/base/digest.ts';
import { formatSize } from '#ground/base/human.ts';
import { removeImage } from '#stores/image/remove.ts';
import type { ImageRecord } from '#stores/image/store.ts';
import type { ContainerState } from '#execution/container/store.ts';
import { openKeeper, type Keeper } from '#execution/worker/keeper.ts';
import { removeMembers } from './index-members.ts';
import { usedImages } from './mounted-images.ts';
import { noteRemoved, removeSteps } from './images.ts';
import { noteContainer, notePrune } from './note-events.ts';
import type { Engine } from './open.ts';
import { diskOf } from './keep-space.ts';
import { isAboutToStart } from './lost-containers.ts';
import type {
  CachePruneRequest,
  ImagePruneRequest,
  PrunedCache,
  PrunedImages,
  PrunedContainers,
  ContainerPruneRequest,
} from './space-requests.ts';
import { blobsOfImage } from './space/account.ts';
import { dropBlobs } from './space/drop-blobs.ts';
import { matchesCacheFilters, matchesLabels } from './space-filters.ts';
import { pruneCache } from './space/prune-cache.ts';
import { describeUse } from './space/describe.ts';

/** Removes what nobody holds. When this returns its files are deleted, unless a running build could still be reading them. */
export async function pruneBuildCache(engine: Engine, request: CachePruneRequest): Promise<PrunedCache> {
  await using keeper = await keeperOf(engine);
  return pruneWith(engine, keeper, request);
}

/** One that was killed while it removed left what it had removed: that is deleted, too. */
async function keeperOf(engine: Engine): ReturnType<typeof openKeeper> {
  engine.lookForGarbage();
  return await openKeeper(engine.paths.store);
}

function pruneWith(engine: Engine, keeper: Keeper, request: CachePruneRequest): PrunedCache {
  const matches = matchesCacheFilters(request.filters, engine.now());
  const { items, bytes } = pruneCache(engine, keeper, {
    mayGo: (item) => (request.all || item.type !== 'internal') && matches(item),
    keep: (unheld) => bytesToKeep(request, unheld, diskOf(engine.paths.store).free),
    sparesLastBuild: false,
    forgetsHeld: request.all,
    rule: ruleOf(request),
  });
  return { items: items.map(describeUse), bytes };
}

/** BuildKit's rules: at most `maxUsed`, less where the disk lacks free space, but never less than `reserved`. undefined: no limit was named, so all goes. */
export function bytesToKeep(
  request: Pick<CachePruneRequest, 'reserved' | 'maxUsed' | 'minFree'>,
  unheld: number,
  free: number,
): number | undefined {
  const { reserved, maxUsed, minFree } = request;
  if (reserved === undefined && maxUsed === undefined && minFree === undefined) return undefined;
  const most = maxUsed ?? (minFree === undefined ? 0 : unheld);
  const lacking = Math.max(0, (minFree ?? 0) - free);
  return Math.max(reserved ?? 0, Math.min(most, unheld - lacking));
}

/** As `why` says it. */
function ruleOf({ all, reserved, maxUsed, minFree, filters }: CachePruneRequest): string {
  const limits = [
    ['--reserved-space', reserved],
    ['--max-used-space', maxUsed],
    ['--min-free-space', minFree],
  ] as const;
  const words = limits.flatMap(([name, bytes]) => (bytes === undefined ? [] : [`${name} ${formatSize(bytes)}`]));
  return ['prune', ...(all ? ['--all'] : []), ...words, ...filters.texts.map((text) => `--filter ${text}`)].join(' ');
}

/** Removes images without a name (`all`: without a container), and what only they held. */
export async function pruneImages(engine: Engine, request: ImagePruneRequest): Promise<PrunedImages> {
  await using keeper = await keeperOf(engine);
  const blobs: Digest[] = [];
  const removed = engine.database.transaction(() => {
    const used = usedImages(engine);
    const since = engine.leasedSince() ?? Infinity;
    const members = engine.indexes.members();
    const isMember = (image: ImageRecord): boolean => image.names.length === 0 && members.has(image.imageId);
    const going = engine.images
      .list()
      .filter((image) => mayGo(engine, image, request) && !isMember(image) && !used.has(image.imageId) && image.stored < since);
    return going.flatMap((image) => {
      blobs.push(...blobsOfImage(engine, image.imageId));
      if (engine.images.get(image.imageId) === undefined) return [];
      const parent = engine.lineage.parentOf(image.imageId);
      const indexes = engine.indexes.holding(image.imageId);
      const own = removeImage(engine.images, image.imageId, { force: true, mayDelete: () => 'all' });
      const others = removeMembers(engine, indexes);
      blobs.push(...others.blobs);
      return [...own, ...others.removed, ...removeSteps(engine, parent)];
    });
  });
  const bytes = dropBlobs(engine, blobs) + collectGarbage(engine, keeper);
  noteRemoved(engine, removed);
  notePrune(engine, 'image', bytes);
  return { removed, bytes };
}

function mayGo(engine: Engine, image: ImageRecord, request: ImagePruneRequest): boolean {
  // What another image was made from goes with that one.
  if (image.names.length === 0 && engine.lineage.isStep(image.imageId) && engine.lineage.hasChildren(image.imageId)) return false;
  if (!request.all && image.names.length > 0) return false;
  if (request.until !== undefined && image.created > request.until) return false;
  return matchesLabels(decodeImageConfig(image.config, image.imageId).config?.Labels ?? {}, request.labels);
}

function collectGarbage(engine: Engine, keeper: Keeper): number {
  return pruneCache(engine, keeper, {
    mayGo: () => false,
    keep: () => undefined,
    sparesLastBuild: false,
    forgetsHeld: false,
    rule: 'its image was removed',
  }).bytes;
}

/** Removes containers that have ended, and the files they wrote. */
export async function pruneContainers(engine: Engine, request: ContainerPruneRequest): Promise<PrunedContainers> {
  const ended = engine.containers
    .list()
    .filter(
      ({ state, created, spec }) => isOver(state) && (request.until ?? Infinity) >= created && matchesLabels(spec.labels, request.labels),
    )
    .filter((container) => !isAboutToStart(engine, container));
  if (ended.length === 0) return { ids: [], bytes: 0 };
  await using keeper = await keeperOf(engine);
  const ids = ended.flatMap((container) => {
    const { id } = container;
    // Somebody may be starting it.
    using lock = engine.containers.lock(id);
    if (lock === undefined) return [];
    engine.containers.remove(id);
    noteContainer(engine, container, 'destroy');
    return [id];
  });
  const bytes = collectGarbage(engine, keeper);
  notePrune(engine, 'container', bytes);
  return { ids, bytes };
}

function isOver({ kind }: ContainerState): boolean {
  return kind === 'created' || kind === 'exited' || kind === 'dead';
}
