/** What this host can do, for `jettison info` and for hints in errors. Everything is looked at, nothing is guessed from versions. */
import { mkdirSync, mkdtempDisposableSync, readFileSync, statSync, statfsSync } from 'node:fs';
import { arch, availableParallelism, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { systemCode } from '#ground/base/errors.ts';
import { runProcess } from './spawn.ts';

export type HostFacts = {
  readonly kernel: string;
  /** Node's word: `x64`, `arm64`. */
  readonly architecture: string;
  readonly processors: number;
  /** Bytes. */
  readonly memory: number;
  readonly isRoot: boolean;
  /** May users without root make user namespaces? */
  readonly userNamespaces: boolean;
  /** `hybrid`: version 1 with a version 2 tree at /sys/fs/cgroup/unified. */
  readonly cgroup: 'v2' | 'v1' | 'hybrid' | 'none';
  /** File system under the store: `ext4`, or a hexadecimal number. */
  readonly fileSystem: string;
  /** Can an overlay be mounted over folders of the store? Otherwise what was said when it was tried. */
  readonly overlay: { readonly usable: true } | { readonly usable: false; readonly why: string };
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

/** Looks at the host (about 20 ms). `folder` (absolute, there already) lies where the store is; a folder is made in it for a moment. */
export async function probeHost(folder: string, signal: AbortSignal): Promise<HostFacts> {
  return {
    kernel: release(),
    architecture: arch(),
    processors: availableParallelism(),
    memory: totalmem(),
    isRoot: process.getuid?.() === 0,
    userNamespaces: allowsUserNamespaces(),
    cgroup: cgroupLayout(),
    fileSystem: fileSystemOf(folder),
    overlay: await tryOverlay(folder, signal),
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

/** Debian's switch, AppArmor's (Ubuntu), and the kernel's limit. */
function allowsUserNamespaces(): boolean {
  const limit = readNumber('/proc/sys/user/max_user_namespaces');
  const debian = readNumber('/proc/sys/kernel/unprivileged_userns_clone') ?? 1;
  const restricted = readNumber('/proc/sys/kernel/apparmor_restrict_unprivileged_userns') ?? 0;
  return limit !== undefined && limit > 0 && debian !== 0 && restricted === 0;
}

function readNumber(path: string): number | undefined {
  try {
    return Number(readFileSync(path, 'latin1'));
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Mounts one in a mount namespace that ends at once. */
async function tryOverlay(folder: string, signal: AbortSignal): Promise<HostFacts['overlay']> {
  if (process.getuid?.() !== 0) return { usable: false, why: 'Without root it is not built yet' };
  using place = mkdtempDisposableSync(join(folder, '.probe-'));
  for (const name of ['l', 'u', 'w', 'm']) mkdirSync(join(place.path, name));
  const mount = ['mount', '-t', 'overlay', 'overlay', '-o', 'lowerdir=l,upperdir=u,workdir=w', 'm'];
  const exit = await runProcess(
    { command: 'unshare', arguments: ['--mount', '--propagation', 'private', ...mount], cwd: place.path },
    signal,
  );
  return exit.code === 0 ? { usable: true } : { usable: false, why: new TextDecoder().decode(exit.stderr).trim() };
}
