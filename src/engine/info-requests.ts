/** What jettison says of itself, of the machine, and of one thing in full. */
import type { OfferedLimits } from '#execution/worker/offered-limits.ts';

export type SystemInfo = {
  readonly version: string;
  readonly store: string;
  readonly images: number;
  readonly containers: number;
  readonly running: number;
  readonly paused: number;
  /** Those that are installed, in the order in which they are tried. */
  readonly runtimes: readonly { readonly name: string; readonly path: string }[];
  /** Has it less than the rights of the machine's root? */
  readonly rootless: boolean;
  /** By looking; it may be refused where it is tried. */
  readonly isolation: string;
  /** By what steps and containers can be limited with this isolation. */
  readonly limits: OfferedLimits;
  readonly cgroupVersion: '1' | '2';
  readonly kernel: string;
  /** `Debian GNU/Linux 12 (bookworm)`. */
  readonly system: string;
  /** As the kernel calls it: `x86_64`. */
  readonly machine: string;
  readonly architecture: string;
  /** Whose programs run here: `linux/amd64`. */
  readonly platforms: readonly string[];
  readonly cpus: number;
  readonly memory: number;
  readonly hostname: string;
  /** Does the machine hand on packets of IPv4? */
  readonly forwards: boolean;
  /** Those that the configuration names; addresses of mirrors in the order in which they are asked. */
  readonly registries: readonly { readonly host: string; readonly mirrors: readonly string[]; readonly secure: boolean }[];
  /** Of the environment, without passwords; '' for none. */
  readonly proxies: { readonly http: string; readonly https: string; readonly none: string };
  /** Milliseconds since the epoch. */
  readonly now: number;
};

export type InspectKind = 'image' | 'container' | 'network' | 'volume';

export type VersionInfo = {
  readonly version: string;
  readonly node: string;
  /** As in image platforms: `linux`, `amd64`. */
  readonly os: string;
  readonly architecture: string;
  readonly kernel: string;
};
