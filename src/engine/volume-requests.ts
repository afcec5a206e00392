/** Volumes, and who uses them. */
import type { LabelFilter } from './space-filters.ts';

export type VolumeRow = {
  readonly name: string;
  /** What containers see of it, on this machine. */
  readonly mountpoint: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, string>>;
  readonly isAnonymous: boolean;
  /** Milliseconds since the epoch. */
  readonly created: number;
  /** Ids of the containers that name it, running or not. */
  readonly users: readonly string[];
};

/** Each field holds where it says something; of several drivers or names, one. */
export type VolumeFilters = {
  readonly dangling: boolean | undefined;
  readonly drivers: readonly string[];
  readonly names: readonly string[];
  readonly labels: readonly LabelFilter[];
};

/** `bytes` are free once the files are deleted. */
export type PrunedVolumes = { readonly names: readonly string[]; readonly bytes: number };
