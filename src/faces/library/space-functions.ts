/** What takes up space in a store, and what goes of it. */
import type { CallOptions } from './call-options.ts';
import type { RemovedImage } from './image-functions.ts';

/** What `system prune` removes: containers that have ended, networks without containers, images without a name, the build cache that nothing needs. */
export type PruneOptions = CallOptions & {
  /** All images that no container uses, and all of the build cache. */
  readonly all?: boolean;
  /** Volumes without a name that no container has, too. */
  readonly volumes?: boolean;
  /** Only what is older. It does not go with `volumes`, of which nobody knows since when they are unused. */
  readonly until?: Date;
};

/** What is gone, by ids and names; `bytes` that are free now. */
export type Pruned = {
  readonly containers: readonly string[];
  readonly networks: readonly string[];
  readonly volumes: readonly string[];
  readonly images: readonly RemovedImage[];
  readonly cache: readonly string[];
  readonly bytes: number;
};

/** Times are RFC 3339. */
export type CacheUseEntry = {
  readonly id: string;
  /** `regular`, `exec.cachemount`, `source.http`, `source.git.checkout`, `internal`. */
  readonly type: string;
  readonly description: string;
  readonly bytes: number;
  readonly created: string;
  readonly lastUsed: string;
  readonly uses: number;
  /** Part of an image or a container, too. */
  readonly isShared: boolean;
  /** It cannot be removed now. */
  readonly inUse: boolean;
};

/** `bytes`: of an image all its layers, of which `sharedBytes` are others' too; of a container what it wrote. */
export type DiskUsage = {
  readonly images: readonly {
    readonly id: string;
    readonly repository: string;
    readonly tag: string;
    readonly bytes: number;
    readonly sharedBytes: number;
    readonly uniqueBytes: number;
    readonly containers: number;
  }[];
  /** What all images take up together, and what would be free without those that no container uses. */
  readonly imageBytes: number;
  readonly reclaimableImageBytes: number;
  readonly containers: readonly {
    readonly id: string;
    readonly name: string;
    readonly image: string;
    readonly isRunning: boolean;
    readonly bytes: number;
  }[];
  readonly volumes: readonly { readonly name: string; readonly users: number; readonly isActive: boolean; readonly bytes: number }[];
  /** What is no image's and no container's. */
  readonly cache: readonly CacheUseEntry[];
};

export type SpaceFunctions = {
  prune(options?: PruneOptions): Promise<Pruned>;
  diskUsage(options?: CallOptions): Promise<DiskUsage>;
};
