/** A request as the config.json of the OCI runtime spec. Values as Docker and containerd give them. */
import type { RuntimeMount, RuntimeSpec, SeccompProfile } from '#formats/oci/runtime-spec.ts';
import { unreachable } from '#ground/base/errors.ts';
import type { ProcessMount, ProcessRequest, Ulimit } from './contract.ts';
import { insecureDevices } from './insecure-devices.ts';
import { inOrder, isSystemPlace } from './own-mounts.ts';
import { seccompProfile } from './seccomp.ts';

/** What the spec takes from the machine. */
export type HostFacts = {
  /** Names of all capabilities that this process may hand on. */
  readonly capabilities: readonly string[];
  /** Node's name, `x64`. */
  readonly architecture: string;
  /** Of the usual devices, those that this machine has (`/dev/null`). */
  readonly devices: readonly string[];
  /** The sandbox's seccomp filter as crun compiled it before, base64. */
  readonly compiledFilter: string | undefined;
  readonly rootDevices: RootDevices;
  /** The user namespace has a single id, 0. */
  readonly hasOneId?: boolean;
  /** How many loop devices a process without sandbox gets. */
  readonly loops?: number;
};

/** The root that a runtime is given is mounted `nodev`. crun binds it onto itself and loses the flag; it then has to be told again. */
export type RootDevices =
  | { readonly kind: 'flag-kept' }
  /** By a mount over the root, which is not what the spec has mounts for, but costs nothing. */
  | { readonly kind: 'remount' }
  /** By a program that remounts its argument: 1 ms. */
  | { readonly kind: 'hook'; readonly program: string };

/** Where the bundle keeps what the spec points to. */
export type BundlePaths = { readonly rootfs: string };

export const dockerCapabilities: readonly string[] = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FSETID',
  'CAP_FOWNER',
  'CAP_MKNOD',
  'CAP_NET_RAW',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SETFCAP',
  'CAP_SETPCAP',
  'CAP_NET_BIND_SERVICE',
  'CAP_SYS_CHROOT',
  'CAP_KILL',
  'CAP_AUDIT_WRITE',
];

/** Every container has these; they are bound from the host, see `deviceMounts`. */
export const usualDevices: readonly string[] = ['/dev/null', '/dev/zero', '/dev/full', '/dev/random', '/dev/urandom', '/dev/tty'];

const maskedPaths = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/sys/devices/virtual/powercap',
  '/sys/firmware',
];
const readonlyPaths = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];
const shmDefault = 64 * 1024 * 1024;

/** Pure: the same request and facts give the same document. */
export function createSpec(request: ProcessRequest, paths: BundlePaths, host: HostFacts): RuntimeSpec {
  const insecure = request.security === 'insecure';
  const capabilities = insecure ? host.capabilities : dockerCapabilities.filter((name) => host.capabilities.includes(name));
  const seccomp = insecure ? undefined : sandboxProfile(host);
  const filter = insecure ? undefined : host.compiledFilter;
  const { rootDevices } = host;
  return {
    ociVersion: '1.0.2',
    process: {
      terminal: request.terminal,
      user: userOf(request, host),
      args: request.arguments,
      env: request.environment,
      cwd: request.workingDirectory,
      // In a sandbox inheritable and ambient stay empty (CVE-2022-24769). Without one other users than root have all of them, too.
      capabilities: {
        bounding: capabilities,
        effective: capabilities,
        permitted: capabilities,
        ...(insecure ? { inheritable: capabilities, ambient: capabilities } : {}),
      },
      noNewPrivileges: false,
      // The runtime stands in the cgroup, too: when memory runs out, the kernel is to kill it last.
      ...(request.limits?.memory === undefined ? {} : { oomScoreAdj: 500 }),
      ...(request.ulimits === undefined || request.ulimits.length === 0 ? {} : { rlimits: request.ulimits.map(rlimitOf) }),
    },
    root: { path: paths.rootfs, readonly: false },
    hostname: request.hostname,
    mounts: [
      ...(insecure || rootDevices.kind !== 'remount' ? [] : [remountRoot(paths.rootfs)]),
      ...systemMounts(request, host.hasOneId === true),
      ...(insecure ? [] : deviceMounts(host.devices)),
      ...inOrder(request.mounts.filter(({ target }) => isSystemPlace(target))).map((mount) => ownMount(mount, insecure)),
    ],
    linux: {
      namespaces: [
        { type: 'pid' },
        { type: 'ipc' },
        { type: 'uts' },
        { type: 'mount' },
        { type: 'cgroup' },
        ...(request.network === 'none' ? [{ type: 'network' } as const] : []),
      ],
      maskedPaths: insecure ? [] : maskedPaths,
      readonlyPaths: insecure ? [] : readonlyPaths,
      ...(seccomp ? { seccomp } : {}),
      ...(insecure ? { devices: insecureDevices(host.loops ?? 0) } : {}),
    },
    ...(insecure || rootDevices.kind !== 'hook'
      ? {}
      : { hooks: { createContainer: [{ path: rootDevices.program, args: [rootDevices.program, paths.rootfs] }] } }),
    // crun takes a compiled filter instead of compiling the rules again, which saves it 2 ms a start; others do not know the name.
    ...(filter === undefined ? {} : { annotations: { 'run.oci.seccomp_bpf_data': filter } }),
  };
}

function rlimitOf({ name, soft, hard }: Ulimit): { readonly type: string; readonly soft: bigint; readonly hard: bigint } {
  return { type: `RLIMIT_${name.toUpperCase()}`, soft: BigInt.asUintN(64, BigInt(soft)), hard: BigInt.asUintN(64, BigInt(hard)) };
}

/** The seccomp rules of the sandbox on this machine. */
export function sandboxProfile(host: Pick<HostFacts, 'capabilities' | 'architecture' | 'hasOneId'>): SeccompProfile | undefined {
  return seccompProfile(
    host.architecture,
    dockerCapabilities.filter((name) => host.capabilities.includes(name)),
    host.hasOneId,
  );
}

/** `/.` and not `/`: crun 1.8 mistakes that for its standard input. */
function remountRoot(source: string): RuntimeMount {
  return { destination: '/.', type: 'bind', source, options: ['bind', 'remount', 'nodev'] };
}

/** Where setgroups(2) is not allowed, there is no other group to have. */
function userOf({ user }: ProcessRequest, { hasOneId }: HostFacts): ProcessRequest['user'] {
  return hasOneId === true ? { uid: user.uid, gid: user.gid, additionalGids: [] } : user;
}

function systemMounts(request: ProcessRequest, hasOneId: boolean): readonly RuntimeMount[] {
  const insecure = request.security === 'insecure';
  const noDevice = insecure ? [] : ['nodev'];
  return [
    fileSystem('/proc', 'proc', ['nosuid', 'noexec', 'nodev']),
    fileSystem('/dev', 'tmpfs', ['nosuid', ...noDevice, 'strictatime', 'mode=755', 'size=65536k']),
    fileSystem('/dev/pts', 'devpts', ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', ...(hasOneId ? [] : ['gid=5'])]),
    fileSystem('/dev/shm', 'tmpfs', ['nosuid', 'noexec', 'nodev', 'mode=1777', `size=${request.shmSize ?? shmDefault}`]),
    fileSystem('/dev/mqueue', 'mqueue', ['nosuid', 'noexec', 'nodev']),
    fileSystem('/sys', 'sysfs', ['nosuid', 'noexec', 'nodev', ...(insecure ? [] : ['ro'])]),
    ...(insecure ? [fileSystem('/sys/fs/cgroup', 'cgroup', ['nosuid', 'noexec', 'nodev', 'relatime', 'rw'])] : []),
  ];
}

/**
 * Nothing in a sandbox is mounted so that device files on it work, and the few that must work are bound from the host. So a device
 * made by mknod (Docker's capabilities allow that) or brought by an image opens nothing, without a cgroup to say so.
 */
function deviceMounts(devices: readonly string[]): readonly RuntimeMount[] {
  return devices.map((path) => ({ destination: path, type: 'bind', source: path, options: ['bind'] }));
}

function ownMount(mount: ProcessMount, devices: boolean): RuntimeMount {
  const noDevice = devices ? [] : ['nodev'];
  switch (mount.kind) {
    case 'bind':
      return {
        destination: mount.target,
        type: 'bind',
        source: mount.source,
        options: ['rbind', 'rprivate', ...noDevice, mount.readOnly ? 'ro' : 'rw'],
      };
    case 'tmpfs': {
      const size = mount.size === null ? [] : [`size=${mount.size}`];
      return fileSystem(mount.target, 'tmpfs', [
        'nosuid',
        ...noDevice,
        `mode=${mount.mode.toString(8)}`,
        ...size,
        ...(mount.readOnly === true ? ['ro'] : []),
      ]);
    }
    default:
      return unreachable(mount, 'mount');
  }
}

function fileSystem(destination: string, type: string, options: readonly string[]): RuntimeMount {
  return { destination, type, source: type, options };
}
