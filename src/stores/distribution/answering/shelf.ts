/** What the answers are made from: the bytes, and which repository has them. */
import type { Digest } from '#ground/base/digest.ts';
import type { ContentStore } from '#stores/content/store.ts';
import type { Repositories } from '../repositories.ts';

export type Shelf = { readonly content: ContentStore; readonly repositories: Repositories };

/** Bytes of a blob that this repository has; undefined when it has none, or they are not there. */
export function sizeOfBlob({ content, repositories }: Shelf, repository: string, digest: Digest): number | undefined {
  return repositories.hasBlob(repository, digest) ? content.size(digest) : undefined;
}

/** Enters a blob that has just been written; false when somebody removed it since. */
export function holdBlob({ content, repositories }: Shelf, repository: string, digest: Digest): boolean {
  repositories.addBlob(repository, digest);
  return content.has(digest);
}

/** Removes bytes that no repository has any more. Whoever is reading them reads on. */
export function dropBytes({ content, repositories }: Shelf, digest: Digest): void {
  if (!repositories.isHeld(digest)) content.delete(digest);
}
