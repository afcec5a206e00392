/** What `images` lists: one row for each name of each image, and one for an image without names. */
import type { Digest } from '#ground/base/digest.ts';
import { familiarName, familiarReference, parseReference } from '#formats/oci/reference.ts';
import { matchesPattern } from './name-pattern.ts';
import type { ImageStore } from './store.ts';
import type { ImageSummary } from './summaries.ts';

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

/**
 * Newest first. An image of `members` (those of indexes) that has no name of its own is not listed. `filters` are names as people type them (`busybox`, `busybox:1*`,
 * `app/*`), any of which will do: without a tag one takes all tags.
 */
export function imageRows(
  store: Pick<ImageStore, 'summaries'>,
  members: ReadonlySet<Digest>,
  filters: readonly string[] = [],
): readonly ImageTableRow[] {
  const patterns = filters.map(familiarPattern);
  const shown = store.summaries().filter((image) => image.names.length > 0 || !members.has(image.imageId));
  return shown.flatMap((image) => rowsOf(image, patterns));
}

function rowsOf(image: ImageSummary, patterns: readonly string[]): readonly ImageTableRow[] {
  const digests = new Map(image.manifests.map((known) => [familiarName(parseReference(known.repository)), known.digest]));
  const base = { id: image.imageId, created: image.created, size: image.size };
  const named = image.names.map(parseReference).map((reference) => ({ repository: familiarName(reference), tag: reference.tag ?? none }));
  const tagged = new Set(named.map((name) => name.repository));
  const untagged = [...digests.keys()].filter((repository) => !tagged.has(repository)).map((repository) => ({ repository, tag: none }));
  const all = [...named, ...untagged];
  if (all.length === 0 && patterns.length === 0) return [{ ...base, repository: none, tag: none, digest: undefined }];
  const shown = patterns.length === 0 ? all : all.filter((name) => patterns.some((pattern) => matches(pattern, name)));
  return shown.map((name) => ({ ...base, ...name, digest: digests.get(name.repository) }));
}

/** Docker's rule: the pattern is laid on the name with and without its tag, in the short form that docker prints. */
function matches(pattern: string, name: { readonly repository: string; readonly tag: string }): boolean {
  return matchesPattern(pattern, name.repository) || (name.tag !== none && matchesPattern(pattern, `${name.repository}:${name.tag}`));
}

/** A full name finds what docker prints in short; what is no name (a pattern) stays. */
function familiarPattern(filter: string): string {
  return /[*?[\\]/u.test(filter) ? filter : familiarReference(parseReference(filter));
}
