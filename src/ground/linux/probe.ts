/** What this host is, for `jettison info` and `doctor`. Everything is looked at, nothing is guessed from versions; what it can do is tried elsewhere. */
import { statSync, statfsSync } from 'node:fs';
import { arch, availableParallelism, release, totalmem } from 'node:os';
import { ownRights } from './own-rights.ts';

export type HostFacts = {
  readonly kernel: string;
  /** Node's word: `x64`, `arm64`. */
  readonly architecture: string;
  readonly processors: number;
  /** Bytes. */
  readonly memory: number;
  readonly isRoot: boolean;
  /** May this process gain no rights (no_new_privs)? */
  readonly noNewPrivileges: boolean;
  /** How many seccomp filters stand in its way; null where the kernel does not count them. */
  readonly seccompFilters: number | null;
  /** `hybrid`: version 1 with a version 2 tree at /sys/fs/cgroup/unified. */
  readonly cgroup: 'v2' | 'v1' | 'hybrid' | 'none';
  /** File system under the store: `ext4`, or a hexadecimal number. */
  readonly fileSystem: string;
};

const fileSystems: ReadonlyMap<number, string> = new Map([
  [0xef53, 'ext4'],
  [0x58465342, 'xfs'],
  [0x9123683e, 'btrfs'],
  [0xf2f52010, 'f2fs'],
  [0x2fc12fc1, 'zfs'],
  [0x01021994, 'tmpfs'],
  [0x794c7630, 'overlay'],
  [0x6969, 'nfs'],
  [0x65735546, 'fuse'],
  [0x63677270, 'cgroup2'],
]);

/** Looks at the host. `folder` (absolute, there already) lies where the store is. */
export function probeHost(folder: string): HostFacts {
  const { isRoot, noNewPrivileges, filters } = ownRights();
  return {
    kernel: release(),
    architecture: arch(),
    processors: availableParallelism(),
    memory: totalmem(),
    isRoot,
    noNewPrivileges,
    seccompFilters: filters ?? null,
    cgroup: cgroupLayout(),
    fileSystem: fileSystemOf(folder),
  };
}

function fileSystemOf(path: string): string {
  const type = statfsSync(path).type;
  return fileSystems.get(type) ?? `0x${type.toString(16)}`;
}

function cgroupLayout(): HostFacts['cgroup'] {
  if (!isThere('/sys/fs/cgroup')) return 'none';
  if (fileSystemOf('/sys/fs/cgroup') === 'cgroup2') return 'v2';
  if (isThere('/sys/fs/cgroup/unified')) return 'hybrid';
  return isThere('/sys/fs/cgroup/memory') || isThere('/sys/fs/cgroup/cpu') ? 'v1' : 'none';
}

function isThere(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
