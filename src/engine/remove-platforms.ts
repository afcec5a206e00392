/** `jettison rmi --platform` */
import { attestedBy, noSuchPlatform } from '#formats/oci/image-index.ts';
import { matchPlatform, normalPlatform, printPlatform, type Platform } from '#formats/oci/platform.ts';
import { parseReference, printReference, withDefaultTag } from '#formats/oci/reference.ts';
import { isDigest } from '#ground/base/digest.ts';
import { imagesOf, type IndexedImage, type IndexMember, type IndexRecord } from '#stores/image/indexes.ts';
import type { RemovedImage } from './image-requests.ts';
import { findForPlatform, findImage, noteRemoved, refuseUsed, removeImages } from './images.ts';
import { removeMembers } from './index-members.ts';
import type { Engine } from './open.ts';
import { nativeOrAsked } from './platform.ts';
import { dropBlobs } from './space/drop-blobs.ts';

export type RemovePlatforms = { readonly name: string; readonly platforms: readonly string[]; readonly force: boolean };

/**
 * Takes images for these platforms, and what is said about them, away from a name, which stands for the others from then on; when none would be left, the name goes. Throws
 * `image/not-found`, `oci/no-such-platform`, `oci/invalid-platform`, and what removing an image throws.
 */
export async function removePlatforms(
  engine: Engine,
  { name, platforms, force }: RemovePlatforms,
  signal: AbortSignal,
): Promise<readonly RemovedImage[]> {
  for (const platform of platforms) findForPlatform(engine, name, platform);
  const removed = engine.database.transaction(() => {
    const index = engine.indexes.find(name);
    if (index === undefined) return undefined;
    const going = platforms.map((platform) => memberFor(index, nativeOrAsked(platform), name));
    const left = imagesOf(index).filter((member) => !going.includes(member));
    if (left.length === 0) return undefined;
    for (const { imageId } of going) if (left.every((member) => member.imageId !== imageId)) refuseUsed(engine, findImage(engine, imageId));
    keepMembers(engine, index, { left, names: namesOf(index, name) });
    const others = removeMembers(engine, [index]);
    dropBlobs(engine, others.blobs);
    engine.leaveGarbage();
    return others.removed;
  });
  if (removed === undefined) return await removeImages(engine, [name], { force }, signal);
  noteRemoved(engine, removed);
  return removed;
}

/** Exactly that one: what merely runs there is not meant. */
function memberFor(index: IndexRecord, wanted: Platform, name: string): IndexedImage {
  const member = imagesOf(index).find(({ platform }) => printPlatform(normalPlatform(platform)) === printPlatform(wanted));
  if (member !== undefined) return member;
  const all = imagesOf(index).map(({ platform }) => printPlatform(platform));
  throw noSuchPlatform(wanted, name, `It has: ${all.join(', ')}`);
}

/** The one name that was given; of a digest all names of the index. */
function namesOf(index: IndexRecord, text: string): readonly string[] {
  return isDigest(text) ? index.names : [printReference(withDefaultTag(parseReference(text)))];
}

/** One image about which nothing is said needs no index. */
function keepMembers(
  engine: Engine,
  index: IndexRecord,
  { left, names }: { readonly left: readonly IndexedImage[]; readonly names: readonly string[] },
): void {
  const known = new Set<string>(left.flatMap(({ imageId, descriptor }) => [imageId, ...(descriptor === null ? [] : [descriptor.digest])]));
  const isLeft = (member: IndexMember): boolean =>
    member.kind === 'image'
      ? left.includes(member)
      : known.has(member.kind === 'attestation' ? (attestedBy(member.descriptor) ?? '') : member.imageId);
  const members = index.members.filter(isLeft);
  const main = matchPlatform(left, nativeOrAsked(undefined))[0] ?? left[0];
  if (main === undefined) return;
  engine.images.tag(main.imageId, names);
  if (members.length > 1) engine.indexes.save({ ...index, members, document: undefined }, names);
}
