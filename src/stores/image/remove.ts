/** Taking names and images away, by docker's rules. */
import type { Digest } from '#ground/base/digest.ts';
import { JettisonError, isCode } from '#ground/base/errors.ts';
import { familiarReference, nameOf, parseReference, printReference, withDefaultTag } from '#formats/oci/reference.ts';
import { repositoryDigests } from './inspect.ts';
import { noSuchImage, type ImageRecord, type ImageStore } from './store.ts';

export type Removal = { readonly kind: 'untagged'; readonly name: string } | { readonly kind: 'deleted'; readonly id: Digest };

/**
 * A name goes; the image goes with its last one. An id takes all names of the image with it, where they are of one repository or `force` is given.
 * `mayDelete` is asked before an image goes and throws when something still needs it (a container). Throws `image/not-found`, `image/in-use`.
 */
export function removeImage(
  store: ImageStore,
  text: string,
  options: { readonly force: boolean; readonly mayDelete: (image: ImageRecord) => void },
): readonly Removal[] {
  const image = store.find(text);
  if (!image) throw noSuchImage(text, 'See "jettison images"');
  if (text.includes('@') && image.names.length > 0) return forgetDigest(store, image, text);
  const name = nameIn(image, text);
  const names = name === undefined ? image.names : [name];
  if (name === undefined && !options.force) checkOneRepository(image, text);
  const goes = names.length === image.names.length;
  if (goes) options.mayDelete(image);
  const digests = goes ? repositoryDigests(store, image) : digestsGoingWith(store, image, names);
  const untagged = [...names.map((one) => familiarReference(parseReference(one))), ...digests].map((one) => ({
    kind: 'untagged' as const,
    name: one,
  }));
  if (!goes) for (const digest of digests) store.forgetManifests(image.imageId, nameOf(parseReference(digest)));
  return store.dropNames(image.imageId, names) ? [...untagged, { kind: 'deleted', id: image.imageId }] : untagged;
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

function checkOneRepository(image: ImageRecord, text: string): void {
  if (new Set(image.names.map((name) => nameOf(parseReference(name)))).size <= 1) return;
  throw new JettisonError('image/in-use', `Cannot remove "${text}": the image has names in several repositories`, {
    hint: `Use "-f", or remove the names: ${image.names.map((name) => familiarReference(parseReference(name))).join(' ')}`,
  });
}

/** With the last tag of a repository go the digests that are known of it. */
function digestsGoingWith(store: ImageStore, image: ImageRecord, names: readonly string[]): readonly string[] {
  const going = new Set(names);
  const left = new Set(image.names.filter((name) => !going.has(name)).map((name) => nameOf(parseReference(name))));
  const repositories = new Set(names.map((name) => nameOf(parseReference(name))).filter((repository) => !left.has(repository)));
  return repositoryDigests(store, image).filter((digest) => repositories.has(nameOf(parseReference(digest))));
}
