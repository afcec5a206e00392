/** What jettison says of itself, of the machine, and of one thing in full. */

export type SystemInfo = {
  readonly version: string;
  readonly store: string;
  readonly images: number;
  readonly containers: number;
  readonly runtime: string;
  /** Has it less than the rights of the machine's root? */
  readonly rootless: boolean;
  /** By looking; it may be refused where it is tried. */
  readonly isolation: string;
  readonly kernel: string;
  readonly architecture: string;
  readonly cpus: number;
  readonly memory: number;
};

export type InspectKind = 'image' | 'container';

export type VersionInfo = {
  readonly version: string;
  readonly node: string;
  /** As in image platforms: `linux`, `amd64`. */
  readonly os: string;
  readonly architecture: string;
};
