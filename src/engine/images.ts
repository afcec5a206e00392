/** `jettison images`, `tag` and `rmi` */
import { decodeImageConfig } from '#formats/oci/image-config.ts';
import { noSuchPlatform } from '#formats/oci/image-index.ts';
import { matchPlatform, normalPlatform, platformRank, printPlatform } from '#formats/oci/platform.ts';
import type { Digest } from '#ground/base/digest.ts';
import { familiarReference, parseReference, printReference, withDefaultTag } from '#formats/oci/reference.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { suggest } from '#ground/base/human.ts';
import { imagesOf, type IndexRecord } from '#stores/image/indexes.ts';
import { removeImage, type NamedBy } from '#stores/image/remove.ts';
import { imageRows } from '#stores/image/rows.ts';
import { noSuchImage, type ImageRecord } from '#stores/image/store.ts';
import { isUp } from './containers.ts';
import { noteImage, noteTags } from './note-events.ts';
import type { Engine } from './open.ts';
import { removeMembers } from './index-members.ts';
import { imagesOfContainer, refuseMounted, usedImages } from './mounted-images.ts';
import { nativeOrAsked } from './platform.ts';
import type { ImageListRequest, ImageRow, RemovedImage } from './image-requests.ts';
import { matchesLabels } from './space-filters.ts';
import { blobsOfImage } from './space/account.ts';
import { dropBlobs } from './space/drop-blobs.ts';

/** Newest first, a row a name. Throws `image/not-found` for an image that others are compared with, `image/bad-pattern`. */
export function listImages(engine: Engine, request: ImageListRequest): readonly ImageRow[] {
  const createdOf = (names: readonly string[]): readonly number[] => names.map((name) => findImage(engine, name).created);
  const oldest = Math.max(-Infinity, ...createdOf(request.since));
  const newest = Math.min(Infinity, request.until ?? Infinity, ...createdOf(request.before));
  const hasLabels = labelTest(engine, request);
  const parents = request.all ? undefined : engine.lineage.parents();
  return imageRows(engine.images, engine.indexes.members(), request.references).filter(
    (row) =>
      // What an image was made of, step by step, is no image that somebody asked for.
      (parents?.has(row.id) !== true || row.repository !== '<none>' || row.tag !== '<none>') &&
      row.created > oldest &&
      row.created < newest &&
      (request.dangling === undefined || request.dangling === (row.repository === '<none>' && row.tag === '<none>')) &&
      hasLabels(row.id),
  );
}

function labelTest(engine: Engine, { labels }: ImageListRequest): (id: Digest) => boolean {
  if (labels.length === 0) return () => true;
  return (id) => {
    const image = engine.images.get(id);
    return image !== undefined && matchesLabels(decodeImageConfig(image.config, id).config?.Labels ?? {}, labels);
  };
}

/** How many containers each image has. */
export function containersByImage(engine: Engine): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { spec } of engine.containers.list()) {
    for (const id of new Set(imagesOfContainer(spec))) counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  return counts;
}

/** Bytes of the blobs (layers, manifests, config) that are kept of an image. */
export function contentSize(engine: Engine, id: Digest): number {
  return blobsOfImage(engine, id).reduce((sum, digest) => sum + (engine.content.size(digest) ?? 0), 0);
}

/** The image behind a name or id. Throws `image/not-found` with a near name, `oci/invalid-reference` for what can be none. */
export function findImage(engine: Engine, text: string): ImageRecord {
  const record = engine.images.find(text);
  if (record !== undefined) return record;
  const names = engine.images.list().flatMap((image) => image.names.map((name) => familiarReference(parseReference(name))));
  const near = suggest(text, names);
  throw noSuchImage(
    familiarReference(withDefaultTag(parseReference(text))),
    near === undefined ? '"jettison images" lists what is here' : `Did you mean "${near}"?`,
  );
}

/** The image of an index for a platform, or the image itself where there is no index and it is for that platform. Throws `oci/no-such-platform`, `image/not-found`. */
export function findForPlatform(engine: Engine, text: string, platform: string): ImageRecord {
  const wanted = nativeOrAsked(platform);
  const index = engine.indexes.find(text);
  const image = findImage(engine, text);
  if (index === undefined) {
    if (platformRank(decodeImageConfig(image.config, image.imageId), wanted) !== undefined) return image;
    throw noSuchPlatform(wanted, text, `It is for ${printPlatform(normalPlatform(decodeImageConfig(image.config, image.imageId)))}`);
  }
  const images = imagesOf(index);
  const [best] = matchPlatform(images, wanted);
  const found = best && engine.images.get(best.imageId);
  if (found !== undefined) return found;
  throw noSuchPlatform(wanted, text, `It has: ${images.map((one) => printPlatform(one.platform)).join(', ')}`);
}

/** The full name for a new image. Throws what parsing a reference throws, and `engine/bad-tag` for one with a digest. */
export function newImageName(text: string): string {
  const name = withDefaultTag(parseReference(text));
  if (name.digest !== undefined) throw new JettisonError('engine/bad-tag', 'refusing to create a tag with a digest reference');
  return printReference(name);
}

/** As it is written in full: with registry and tag. Throws what parsing a reference throws. */
export function fullName(text: string): string {
  return printReference(withDefaultTag(parseReference(text)));
}

/** Gives an image another name. Throws `image/not-found`, `oci/invalid-reference`. */
export function tagImage(engine: Engine, source: string, target: string): void {
  const name = newImageName(target);
  const image = findImage(engine, source);
  const index = engine.indexes.find(source);
  engine.database.transaction(() => {
    engine.images.tag(image.imageId, [name]);
    if (index !== undefined) engine.indexes.save(index, [name]);
  });
  noteTags(engine, image.imageId, [name]);
}

/** `untag` for each name that went, `delete` for each image. */
export function noteRemoved(engine: Engine, removed: readonly RemovedImage[]): void {
  for (const one of removed) noteImage(engine, one.kind === 'untagged' ? 'untag' : 'delete', one.kind === 'untagged' ? one.name : one.id);
}

/** Takes names away, and images when their last name goes. Throws `image/not-found`, `image/in-use`, `engine/image-in-use`. */
export async function removeImages(
  engine: Engine,
  names: readonly string[],
  options: { readonly force: boolean },
  signal: AbortSignal,
): Promise<readonly RemovedImage[]> {
  const removed: RemovedImage[] = [];
  for (const name of names) {
    signal.throwIfAborted();
    const gone = removeOne(engine, name, options);
    noteRemoved(engine, gone);
    removed.push(...gone);
  }
  return await Promise.resolve(removed);
}

/** What only this image held goes, too: its blobs at once, its files when the store is tended, unless the build cache knows them. */
function removeOne(engine: Engine, name: string, { force }: { readonly force: boolean }): readonly RemovedImage[] {
  return engine.database.transaction(() => {
    const image = engine.images.find(name);
    const indexes = image === undefined ? [] : engine.indexes.holding(image.imageId);
    if (image !== undefined && image.names.length === 0 && !force) assertNoMember(image, indexes);
    const blobs = image === undefined ? [] : blobsOfImage(engine, image.imageId);
    const parent = image && engine.lineage.parentOf(image.imageId);
    const own = removeImage(engine.images, name, { force, mayDelete: (one, by) => mayDelete(engine, { image: one, by, force }) });
    const others = removeMembers(engine, indexes);
    blobs.push(...others.blobs);
    const removed = [...own, ...others.removed];
    if (removed.some(({ kind }) => kind === 'deleted')) {
      dropBlobs(engine, blobs);
      engine.leaveGarbage();
      return [...removed, ...removeSteps(engine, parent)];
    }
    return removed;
  });
}

function assertNoMember(image: ImageRecord, [index]: readonly IndexRecord[]): void {
  if (index === undefined) return;
  const names = index.names.map((name) => familiarReference(parseReference(name))).join(', ');
  throw new JettisonError('engine/image-in-use', `Image ${image.imageId.slice(7, 19)} is part of ${names}`, {
    hint: 'Remove that name, or use "-f": what is left of it is one image then',
  });
}

/** Throws `engine/image-in-use`, `engine/image-mounted` where a container or a mount needs the image. */
export function refuseUsed(engine: Engine, image: ImageRecord): void {
  mayDelete(engine, { image, by: 'id', force: false });
}

type Deletion = { readonly image: ImageRecord; readonly by: NamedBy; readonly force: boolean };

/** Docker's rules and words: what has a process is never taken away, but a forced name goes; what has ended gives way to force. */
function mayDelete(engine: Engine, { image, by, force }: Deletion): 'all' | 'names only' {
  refuseParent(engine, image);
  refuseMounted(engine, image.imageId);
  const mounter = engine.containers.list().find(({ spec }) => spec.mounts.some((m) => m.kind === 'image' && m.imageId === image.imageId));
  if (mounter !== undefined) {
    if (force && by === 'name') return 'names only';
    const what = `${image.imageId.slice(7, 19)} (cannot be forced) - image is mounted in container ${mounter.id.slice(0, 12)}`;
    throw inUse(`conflict: unable to delete ${what}`, mounter.name);
  }
  const users = engine.containers.list().filter((container) => container.spec.imageId === image.imageId);
  const user = users.find((one) => isUp(one.state)) ?? users[0];
  if (user === undefined) return 'all';
  const [container, id, runs] = [user.id.slice(0, 12), image.imageId.slice(7, 19), isUp(user.state)];
  if (force) {
    if (!runs || by === 'name') return runs ? 'names only' : 'all';
    throw inUse(`conflict: unable to delete ${id} (cannot be forced) - image is being used by running container ${container}`, user.name);
  }
  const name = familiarReference(parseReference(image.names[0] ?? user.spec.image));
  if (by === 'name')
    throw inUse(
      `conflict: unable to remove repository reference "${name}" (must force) - container ${container} is using its referenced image ${id}`,
      user.name,
    );
  const must = runs ? 'cannot be forced' : 'must be forced';
  throw inUse(
    `conflict: unable to delete ${id} (${must}) - image is being used by ${runs ? 'running' : 'stopped'} container ${container}`,
    user.name,
  );
}

function inUse(message: string, container: string): JettisonError {
  return new JettisonError('engine/image-in-use', message, { hint: `Remove the container first: jettison rm ${container}` });
}

/** As docker has it: a step's image goes with the last image that was made from it, and not before. */
function refuseParent(engine: Engine, { imageId, names }: ImageRecord): void {
  if (names.length > 0 || !engine.lineage.isStep(imageId) || !engine.lineage.hasChildren(imageId)) return;
  const message = `conflict: unable to delete ${imageId.slice(7, 19)} (cannot be forced) - image has dependent child images`;
  throw new JettisonError('engine/image-in-use', message, { hint: 'It goes with the last image that was made from it' });
}

/** The image of a step and those below it, as far as nothing else was made from them and no container uses them. */
export function removeSteps(engine: Engine, from: Digest | undefined): readonly RemovedImage[] {
  const removed: RemovedImage[] = [];
  const used = usedImages(engine);
  for (let id = from; id !== undefined;) {
    const { lineage, images } = engine;
    if (!lineage.isStep(id) || lineage.hasChildren(id) || (images.get(id)?.names.length ?? 1) > 0) break;
    const own = id;
    if (used.has(own)) break;
    id = lineage.parentOf(own);
    images.remove(own);
    removed.push({ kind: 'deleted', id: own });
  }
  return removed;
}
