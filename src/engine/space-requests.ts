/** What takes up space, and what goes. */
import type { CacheFilters, LabelFilter } from './space-filters.ts';
import type { ContainerRow } from './container-requests.ts';
import type { ImageRow, RemovedImage } from './image-requests.ts';

/** One thing of the build cache. Times are milliseconds since the epoch. */
export type CacheUse = {
  readonly id: string;
  /** `regular`, `exec.cachemount`, `source.http`, `source.git.checkout`, `internal`. */
  readonly type: string;
  readonly description: string;
  readonly parent: string | undefined;
  readonly bytes: number;
  readonly createdAt: number;
  readonly lastUsedAt: number;
  readonly uses: number;
  readonly isMutable: boolean;
  /** Part of an image or a container, too. */
  readonly isShared: boolean;
  /** Somebody needs it: it cannot be removed. */
  readonly inUse: boolean;
};

export type CachePruneRequest = {
  /** Also what registries said, and the memory of steps that images are made of. */
  readonly all: boolean;
  readonly filters: CacheFilters;
  /** Bytes that may stay in any case, that may stay at most, and that should be free on the disk. */
  readonly reserved: number | undefined;
  readonly maxUsed: number | undefined;
  readonly minFree: number | undefined;
};

/** `bytes`: how much is free now. */
export type PrunedCache = { readonly items: readonly CacheUse[]; readonly bytes: number };

export type ImagePruneRequest = {
  readonly all: boolean;
  readonly labels: readonly LabelFilter[];
  /** Only images made before this time. */
  readonly until: number | undefined;
};

export type PrunedImages = { readonly removed: readonly RemovedImage[]; readonly bytes: number };

export type ContainerPruneRequest = { readonly until: number | undefined; readonly labels: readonly LabelFilter[] };

export type PrunedContainers = { readonly ids: readonly string[]; readonly bytes: number };

/** `bytes` without what is shared with others; `cache`: what is no image's and no container's. */
export type DiskUse = {
  readonly images: readonly (ImageRow & { readonly sharedBytes: number; readonly uniqueBytes: number; readonly containers: number })[];
  /** What all images take up together, and what would be free without those that no container uses. */
  readonly imageBytes: number;
  readonly reclaimableImageBytes: number;
  readonly containers: readonly (ContainerRow & { readonly isRunning: boolean; readonly bytes: number; readonly volumes: number })[];
  /** `users`: containers that name it, running or not; `isActive`: one of them is up. */
  readonly volumes: readonly { readonly name: string; readonly users: number; readonly isActive: boolean; readonly bytes: number }[];
  readonly cache: readonly CacheUse[];
};
