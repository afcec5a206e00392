/** A request as the config.json of the OCI runtime spec. Values as Docker and containerd give them. */
import type { RuntimeDevice, RuntimeSpec } from '#formats/oci/runtime-spec.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { programPaths } from './command.ts';
import type { ProcessRequest, Ulimit } from './contract.ts';
import { allHostDevices } from './host-devices.ts';
import { insecureDevices } from './insecure-devices.ts';
import { rightsOf, type RightsHere } from './rights.ts';
import { mountsOf, shares, type BundlePaths, type MountsHere } from './spec-mounts.ts';

/** What the spec takes from the machine. */
export type HostFacts = RightsHere &
  MountsHere & {
    /** How many loop devices a process without sandbox gets. */
    readonly loops?: number;
  };

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
const sharable = ['ipc', 'uts', 'cgroup'] as const;

/** Where the first process of `Confinement.hasInit` is mounted, as with Docker. */
export const initPlace = '/sbin/docker-init';

/** Pure: the same request and facts give the same document. */
export function createSpec(request: ProcessRequest, paths: BundlePaths, host: HostFacts): RuntimeSpec {
  const insecure = request.security === 'insecure';
  const { capabilities, seccomp, compiledFilter } = rightsOf(request, host);
  const user = userOf(request, host);
  const { rootDevices } = host;
  const { confinement = {} } = request;
  const hidesNothing = insecure || confinement.opensSystemPaths === true;
  return {
    ociVersion: '1.0.2',
    process: {
      terminal: request.terminal,
      ...(request.terminalSize === undefined
        ? {}
        : { consoleSize: { height: request.terminalSize.rows, width: request.terminalSize.columns } }),
      user,
      args: confinement.hasInit === true ? [initPlace, ...programPaths(request), '--', ...request.arguments] : request.arguments,
      env: request.environment,
      cwd: request.workingDirectory,
      // In a step without a sandbox other users than root have all of them, too.
      capabilities:
        insecure && request.confinement === undefined
          ? { ...every(capabilities), inheritable: capabilities, ambient: capabilities }
          : capabilitiesOf(user, capabilities),
      noNewPrivileges: confinement.noNewPrivileges === true,
      ...oomScoreOf(request),
      ...(request.ulimits === undefined || request.ulimits.length === 0 ? {} : { rlimits: request.ulimits.map(rlimitOf) }),
    },
    root: { path: paths.rootfs, readonly: insecure && confinement.hasReadOnlyRoot === true },
    ...(shares(request, 'uts') ? {} : { hostname: request.hostname, ...domainOf(request, host) }),
    mounts: mountsOf(request, paths, host),
    linux: {
      namespaces: [
        { type: 'pid' },
        { type: 'mount' },
        ...sharable.filter((type) => !shares(request, type)).map((type) => ({ type })),
        ...(request.network === 'none' ? [{ type: 'network' } as const] : []),
      ],
      maskedPaths: hidesNothing ? [] : maskedPaths,
      readonlyPaths: hidesNothing ? [] : readonlyPaths,
      ...(seccomp ? { seccomp } : {}),
      ...(insecure ? { devices: devicesOf(request, host) } : {}),
      ...sysctlsOf(request, host),
    },
    ...(insecure || rootDevices.kind !== 'hook'
      ? {}
      : {
          hooks: {
            createContainer: [remountHook(confinement.hasReadOnlyRoot === true ? rootDevices.readOnlyProgram : rootDevices.program, paths)],
          },
        }),
    // crun takes a compiled filter instead of compiling the rules again, which saves it 2 ms a start; others do not know the name.
    ...(compiledFilter === undefined ? {} : { annotations: { 'run.oci.seccomp_bpf_data': compiledFilter } }),
  };
}

type Capabilities = RuntimeSpec['process']['capabilities'];

/**
 * Inheritable and ambient stay empty (CVE-2022-24769). Other users than root have none when execve(2) is done, and must have none before: the runtime looks for the first
 * program with what is set here, and would start one that they may not.
 */
export function capabilitiesOf({ uid }: ProcessRequest['user'], capabilities: readonly string[]): Capabilities {
  return uid === 0 ? every(capabilities) : { bounding: capabilities, effective: [], permitted: [] };
}

function every(capabilities: readonly string[]): Capabilities {
  return { bounding: capabilities, effective: capabilities, permitted: capabilities };
}

function rlimitOf({ name, soft, hard }: Ulimit): { readonly type: string; readonly soft: bigint; readonly hard: bigint } {
  return { type: `RLIMIT_${name.toUpperCase()}`, soft: BigInt.asUintN(64, BigInt(soft)), hard: BigInt.asUintN(64, BigInt(hard)) };
}

function remountHook(program: string, { rootfs }: BundlePaths): { readonly path: string; readonly args: readonly string[] } {
  return { path: program, args: [program, rootfs] };
}

/** The runtime stands in a cgroup with limits, too: when memory runs out, the kernel is to kill it last. */
function oomScoreOf({ limits, confinement }: ProcessRequest): { readonly oomScoreAdj?: number } {
  const asked = confinement?.oomScore;
  if (asked !== undefined) return { oomScoreAdj: asked };
  return limits?.memory === undefined ? {} : { oomScoreAdj: 500 };
}

/** The setting of the kernel is known to all runtimes, and takes the rights of the machine's root. */
function domainOf({ confinement }: ProcessRequest, { isMapped }: HostFacts): { readonly domainname?: string } {
  return isMapped === true && confinement?.domainname !== undefined ? { domainname: confinement.domainname } : {};
}

function devicesOf({ confinement }: ProcessRequest, { loops }: HostFacts): readonly RuntimeDevice[] {
  const insecure = insecureDevices(loops ?? 0);
  if (confinement?.hasHostDevices !== true) return insecure;
  return allHostDevices();
}

/** What a namespace of the host has is not the container's to set. */
function sysctlsOf(request: ProcessRequest, host: HostFacts): { readonly sysctl?: Readonly<Record<string, string>> } {
  const { sysctls: asked = {}, domainname } = request.confinement ?? {};
  const setsDomain = domainname !== undefined && host.isMapped !== true && !shares(request, 'uts');
  const sysctls = setsDomain ? { ...asked, 'kernel.domainname': domainname } : asked;
  for (const name of Object.keys(asked)) {
    const isNetwork = name.startsWith('net.');
    const isShared = isNetwork ? request.network === 'host' : shares(request, 'ipc');
    if (!isShared) continue;
    throw new JettisonError('runtime/shared-sysctl', `sysctl "${name}" not allowed in host ${isNetwork ? 'network' : 'ipc'} namespace`, {
      hint: isNetwork ? 'Give the container a network of its own: "--network none"' : 'Leave "--ipc host" out',
    });
  }
  return Object.keys(sysctls).length === 0 ? {} : { sysctl: sysctls };
}

/** Where setgroups(2) is not allowed, there is no other group to have. */
function userOf({ user }: ProcessRequest, { hasOneId }: HostFacts): ProcessRequest['user'] {
  return hasOneId === true ? { uid: user.uid, gid: user.gid, additionalGids: [] } : user;
}
