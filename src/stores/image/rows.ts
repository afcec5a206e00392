/** What `images` lists: one row for each name of each image, and one for an image without names. */
import type { Digest } from '#ground/base/digest.ts';
import { familiarName, familiarReference, parseReference } from '#formats/oci/reference.ts';
import { matchesPattern } from './name-pattern.ts';
import type { ImageRecord, ImageStore } from './store.ts';

export type ImageTableRow = {
  /** `<none>` parts for an image without a name. */
  readonly repository: string;
  readonly tag: string;
  /** What the repository's tag named in its registry, if the image came from there or went there. */
  readonly digest: Digest | undefined;
  readonly id: Digest;
  /** Milliseconds since the epoch. */
  readonly created: number;
  /** Bytes of all layers, uncompressed. */
  readonly size: number;
};

const none = '<none>';

/** Newest first. An image of `members` (those of indexes) that has no name of its own is not listed. `filter` is a name as people type it (`busybox`, `busybox:1*`, `app/*`): without a tag it takes all tags. */
export function imageRows(store: ImageStore, members: ReadonlySet<Digest>, filter?: string): readonly ImageTableRow[] {
  const shown = store.list().filter((image) => image.names.length > 0 || !members.has(image.imageId));
  return shown.flatMap((image) => rowsOf(store, image, filter));
}

function rowsOf(store: ImageStore, image: ImageRecord, filter: string | undefined): readonly ImageTableRow[] {
  const digests = new Map(store.manifestsOf(image.imageId).map((known) => [familiarName(parseReference(known.repository)), known.digest]));
  const base = { id: image.imageId, created: image.created, size: image.layers.reduce((sum, layer) => sum + layer.size, 0) };
  const named = image.names.map(parseReference).map((reference) => ({ repository: familiarName(reference), tag: reference.tag ?? none }));
  const tagged = new Set(named.map((name) => name.repository));
  const untagged = [...digests.keys()].filter((repository) => !tagged.has(repository)).map((repository) => ({ repository, tag: none }));
  const all = [...named, ...untagged];
  const shown = filter === undefined ? all : all.filter((name) => matches(filter, name));
  if (all.length === 0 && filter === undefined) return [{ ...base, repository: none, tag: none, digest: undefined }];
  return shown.map((name) => ({ ...base, ...name, digest: digests.get(name.repository) }));
}

/** Docker's rule: the pattern is laid on the name with and without its tag, in the short form that docker prints. */
function matches(filter: string, name: { readonly repository: string; readonly tag: string }): boolean {
  const pattern = familiarPattern(filter);
  return matchesPattern(pattern, name.repository) || (name.tag !== none && matchesPattern(pattern, `${name.repository}:${name.tag}`));
}

/** A full name finds what docker prints in short; what is no name (a pattern) stays. */
function familiarPattern(filter: string): string {
  return /[*?[\\]/u.test(filter) ? filter : familiarReference(parseReference(filter));
}
