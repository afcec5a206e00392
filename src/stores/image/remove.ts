/** Taking names and images away, by docker's rules. */
import type { Digest } from '#ground/base/digest.ts';
import { JettisonError, isCode } from '#ground/base/errors.ts';
import { familiarReference, nameOf, parseReference, printReference, withDefaultTag } from '#formats/oci/reference.ts';
import { repositoryDigests } from './inspect.ts';
import { noSuchImage, type ImageRecord, type ImageStore } from './store.ts';

/** How an image was named that is to go: by one of its names, or by its id. */
export type NamedBy = 'name' | 'id';

export type Removal = { readonly kind: 'untagged'; readonly name: string } | { readonly kind: 'deleted'; readonly id: Digest };

/**
 * A name goes; the image goes with its last one. An id takes all names of the image with it, where they are of one repository or `force` is given.
 * `mayDelete` is asked before an image goes: it throws when something still needs it (a container), or lets only its names go. Throws `image/not-found`,
 * `image/in-use`, `oci/invalid-reference`.
 */
export function removeImage(
  store: ImageStore,
  text: string,
  options: { readonly force: boolean; readonly mayDelete: (image: ImageRecord, by: NamedBy) => 'all' | 'names only' },
): readonly Removal[] {
  const image = store.find(text) ?? missing(text);
  if (text.includes('@') && image.names.length > 0) return forgetDigest(store, image, text);
  const name = nameIn(image, text);
  const names = name === undefined ? image.names : [name];
  if (name === undefined && !options.force) checkOneRepository(image);
  const isLast = names.length === image.names.length;
  const goes = isLast && options.mayDelete(image, name === undefined ? 'id' : 'name') === 'all';
  const digests = isLast ? repositoryDigests(store, image) : digestsGoingWith(store, image, names);
  const untagged = [...names.map((one) => familiarReference(parseReference(one))), ...digests].map((one) => ({
    kind: 'untagged' as const,
    name: one,
  }));
  if (!goes) {
    for (const digest of digests) store.forgetManifests(image.imageId, nameOf(parseReference(digest)));
    for (const one of names) store.untag(one);
    return untagged;
  }
  return store.dropNames(image.imageId, names) ? [...untagged, { kind: 'deleted', id: image.imageId }] : untagged;
}

/** Throws what is wrong with the name, where it can be none. */
function missing(text: string): never {
  throw noSuchImage(familiarReference(withDefaultTag(parseReference(text))), '"jettison images" lists what is here');
}

/** `name@digest` of an image that still has names is no more than a way to find it. */
function forgetDigest(store: ImageStore, image: ImageRecord, text: string): readonly Removal[] {
  const repository = nameOf(parseReference(text));
  const gone = repositoryDigests(store, image).filter((digest) => nameOf(parseReference(digest)) === repository);
  store.forgetManifests(image.imageId, repository);
  return gone.map((name) => ({ kind: 'untagged', name }));
}

/** The canonical name of the image that `text` is, or undefined when it is an id or a digest. */
function nameIn(image: ImageRecord, text: string): string | undefined {
  try {
    const reference = parseReference(text);
    const name = printReference(withDefaultTag(reference));
    return reference.digest === undefined && image.names.includes(name) ? name : undefined;
  } catch (error) {
    if (isCode(error, 'oci/invalid-reference') || isCode(error, 'oci/reserved-name')) return undefined;
    throw error;
  }
}

function checkOneRepository(image: ImageRecord): void {
  if (new Set(image.names.map((name) => nameOf(parseReference(name)))).size <= 1) return;
  throw new JettisonError(
    'image/in-use',
    `conflict: unable to delete ${image.imageId.slice(7, 19)} (must be forced) - image is referenced in multiple repositories`,
    { hint: `Use "-f", or remove the names: ${image.names.map((name) => familiarReference(parseReference(name))).join(' ')}` },
  );
}

/** With the last tag of a repository go the digests that are known of it. */
function digestsGoingWith(store: ImageStore, image: ImageRecord, names: readonly string[]): readonly string[] {
  const going = new Set(names);
  const left = new Set(image.names.filter((name) => !going.has(name)).map((name) => nameOf(parseReference(name))));
  const repositories = new Set(names.map((name) => nameOf(parseReference(name))).filter((repository) => !left.has(repository)));
  return repositoryDigests(store, image).filter((digest) => repositories.has(nameOf(parseReference(digest))));
}
