/** What the runtime mounts in a container: the system's folders, devices, and what is asked for in these. */
import type { RuntimeMount } from '#formats/oci/runtime-spec.ts';
import { unreachable } from '#ground/base/errors.ts';
import type { ProcessMount, ProcessRequest, SharedNamespace } from './contract.ts';
import { inOrder, isSystemPlace, tmpfsData } from './own-mounts.ts';

/** Where the bundle keeps what the spec points to. */
export type BundlePaths = { readonly rootfs: string };

/** The root that a runtime is given is mounted `nodev`. crun binds it onto itself and loses the flag; it then has to be told again. */
export type RootDevices =
  | { readonly kind: 'flag-kept' }
  /** By a mount over the root, which is not what the spec has mounts for, but costs nothing. */
  | { readonly kind: 'remount' }
  /** By a program that remounts its argument: 1 ms; by another one where the root is to be read-only, too. */
  | { readonly kind: 'hook'; readonly program: string; readonly readOnlyProgram: string };

/** Every container has these; they are bound from the host, see `deviceMounts`. */
export const usualDevices: readonly string[] = ['/dev/null', '/dev/zero', '/dev/full', '/dev/random', '/dev/urandom', '/dev/tty'];

const shmDefault = 64 * 1024 * 1024;

/** Where a machine has its shared memory and message queues. */
export const messagePlaces: readonly string[] = ['/dev/shm', '/dev/mqueue'];

/** What mounts take from the machine. */
export type MountsHere = {
  /** Of the usual devices, those that this machine has (`/dev/null`). */
  readonly devices: readonly string[];
  readonly rootDevices: RootDevices;
  /** Of the folders of shared memory and message queues, those that are mounted. */
  readonly messagePlaces?: readonly string[];
  /** The user namespace has a single id, 0. */
  readonly hasOneId?: boolean;
  /** This process is root of a user namespace, and not of the machine. */
  readonly isMapped?: boolean;
};

export function mountsOf(request: ProcessRequest, { rootfs }: BundlePaths, host: MountsHere): readonly RuntimeMount[] {
  const insecure = request.security === 'insecure';
  return [
    ...(insecure || host.rootDevices.kind !== 'remount' ? [] : [remountRoot(rootfs, request.confinement?.hasReadOnlyRoot === true)]),
    ...systemMounts(request, host),
    ...(insecure ? [] : deviceMounts(host.devices)),
    ...inOrder(request.mounts.filter(({ target }) => isSystemPlace(target))).map((mount) => ownMount(mount, insecure)),
  ];
}

export function shares({ confinement }: Pick<ProcessRequest, 'confinement'>, namespace: SharedNamespace): boolean {
  return confinement?.shares?.includes(namespace) === true;
}

/** `/.` and not `/`: crun 1.8 mistakes that for its standard input. */
function remountRoot(source: string, isReadOnly: boolean): RuntimeMount {
  return { destination: '/.', type: 'bind', source, options: ['bind', 'remount', 'nodev', ...(isReadOnly ? ['ro'] : [])] };
}

function systemMounts(request: ProcessRequest, host: MountsHere): readonly RuntimeMount[] {
  const insecure = request.security === 'insecure';
  const noDevice = insecure ? [] : ['nodev'];
  return [
    fileSystem('/proc', 'proc', ['nosuid', 'noexec', 'nodev']),
    fileSystem('/dev', 'tmpfs', ['nosuid', ...noDevice, 'strictatime', 'mode=755', 'size=65536k']),
    fileSystem('/dev/pts', 'devpts', [
      'nosuid',
      'noexec',
      'newinstance',
      'ptmxmode=0666',
      'mode=0620',
      ...(host.hasOneId === true ? [] : ['gid=5']),
    ]),
    ...messageMounts(request, host.messagePlaces ?? []),
    sysMount(request, host),
    ...(insecure && host.isMapped !== true
      ? [fileSystem('/sys/fs/cgroup', 'cgroup', ['nosuid', 'noexec', 'nodev', 'relatime', 'rw'])]
      : []),
  ];
}

/** sysfs belongs to who made the network's namespace: root of a user namespace that shares it binds the machine's. */
function sysMount({ security, network }: ProcessRequest, { isMapped }: MountsHere): RuntimeMount {
  const flags = ['nosuid', 'noexec', 'nodev'];
  if (security === 'sandbox') return fileSystem('/sys', 'sysfs', [...flags, 'ro']);
  if (isMapped !== true || network === 'none') return fileSystem('/sys', 'sysfs', flags);
  return { destination: '/sys', type: 'bind', source: '/sys', options: ['rbind', 'rprivate', ...flags] };
}

/** Shared memory and message queues belong to the IPC namespace; what is asked for by a mount of its own replaces /dev/shm. */
function messageMounts(request: ProcessRequest, here: readonly string[]): readonly RuntimeMount[] {
  const flags = ['nosuid', 'noexec', 'nodev'];
  const hasShm = request.confinement?.lacksShm !== true && !request.mounts.some(({ target }) => target === '/dev/shm');
  if (shares(request, 'ipc')) {
    const bind = (path: string): RuntimeMount => ({ destination: path, type: 'bind', source: path, options: ['bind', ...flags] });
    return [...(hasShm ? ['/dev/shm'] : []), '/dev/mqueue'].filter((path) => here.includes(path)).map(bind);
  }
  const size = `size=${request.shmSize ?? shmDefault}`;
  return [...(hasShm ? [fileSystem('/dev/shm', 'tmpfs', [...flags, 'mode=1777', size])] : []), fileSystem('/dev/mqueue', 'mqueue', flags)];
}

/**
 * Nothing in a sandbox is mounted so that device files on it work, and the few that must work are bound from the host. So a device
 * made by mknod (Docker's capabilities allow that) or brought by an image opens nothing, without a cgroup to say so.
 */
function deviceMounts(devices: readonly string[]): readonly RuntimeMount[] {
  return devices.map((path) => ({ destination: path, type: 'bind', source: path, options: ['bind'] }));
}

function ownMount(mount: ProcessMount, devices: boolean): RuntimeMount {
  switch (mount.kind) {
    case 'bind': {
      const noDevice = devices || mount.isDevice === true ? [] : ['nodev'];
      return {
        destination: mount.target,
        type: 'bind',
        source: mount.source,
        options: ['rbind', 'rprivate', ...noDevice, mount.readOnly ? 'ro' : 'rw'],
      };
    }
    case 'tmpfs': {
      const flags = [
        ...(mount.allowsSetuid === true ? [] : ['nosuid']),
        ...(devices ? [] : ['nodev']),
        ...(mount.noExecute === true ? ['noexec'] : []),
        ...(mount.readOnly === true ? ['ro'] : []),
      ];
      return fileSystem(mount.target, 'tmpfs', [...flags, ...tmpfsData(mount)]);
    }
    default:
      return unreachable(mount, 'mount');
  }
}

function fileSystem(destination: string, type: string, options: readonly string[]): RuntimeMount {
  return { destination, type, source: type, options };
}
