/** A container's process: `jettison run`. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Mount } from '#formats/graph/op.ts';
import { JettisonError, messageOf } from '#ground/base/errors.ts';
import type { SnapshotId, SnapshotStore } from '#stores/snapshot/contract.ts';
import type {
  Confinement,
  ProcessRequest,
  ProcessStreams,
  ResourceLimits,
  Runtime,
  StartedProcess,
  Ulimit,
} from '#execution/runtime/contract.ts';
import type { DnsSettings } from '#execution/runtime/dns.ts';
import { openContainerMounts, showImages, type ContainerMount } from './container-mounts.ts';
import type { MountTools, OpenMounts } from './exec/mounts.ts';
import type { TreeSource } from './file.ts';
import { runInRoot, withDefaults, type Naming, type RootMount, type RootProcess } from './exec/process.ts';

export type ContainerRequest = {
  readonly id: string;
  readonly image: SnapshotId | undefined;
  readonly arguments: readonly string[];
  readonly environment: readonly string[];
  readonly workingDirectory: string;
  readonly user: string;
  readonly hostname: string;
  /** `host`: that of this process. */
  readonly network: 'host' | 'none';
  /** What its network makes of /etc/hosts and /etc/resolv.conf. */
  readonly naming?: Naming;
  readonly terminal: boolean;
  readonly stopSignal: string;
  readonly mounts?: readonly ContainerMount[];
  /** It stands in the place of a RUN: what that has mounted, and the trees that it takes them from. Secrets and agents are not among them. */
  readonly step?: { readonly mounts: readonly Mount[]; readonly inputs: readonly (TreeSource | undefined)[] };
  readonly held?: ContainerHold;
  /** The container's own snapshot (see `prepareContainer`): it is written on, whatever becomes of this process. Undefined: a new one over `image`. */
  readonly snapshot?: SnapshotId;
  /** Keep what the container wrote as a committed snapshot; always, where it has one of its own. */
  readonly keep: boolean;
};

/** How a container is held, and what it is told of the world: what a step of a build has as it is. */
export type ContainerHold = {
  readonly isPrivileged?: boolean;
  readonly confinement?: Confinement;
  readonly limits?: ResourceLimits;
  readonly ulimits?: readonly Ulimit[];
  /** Bytes of /dev/shm. */
  readonly shmSize?: number;
  /** `name:address` */
  readonly extraHosts?: readonly string[];
  readonly dns?: DnsSettings;
  /** This process's network is the container's alone: its settings are the container's to make. */
  readonly ownsNetwork?: boolean;
  /** Of the image, by name or number, beside the user's own. */
  readonly groups?: readonly string[];
};

export type ContainerOutcome = {
  /** 128 + n when signal n ended the process. */
  readonly code: number;
  /** The kernel killed one of its processes: it wanted more memory than its limit. */
  readonly isOutOfMemory: boolean;
  /** What the container wrote, kept when `keep` was asked for. */
  readonly snapshot: SnapshotId | undefined;
};

export type ContainerTools = {
  readonly snapshots: SnapshotStore;
  readonly runtime: Runtime;
  /** What is done to the container's network happens inside this call; left out: this process is in it. */
  readonly withinNetwork?: <T>(act: () => T) => T;
  /** For `ContainerRequest.step`. */
  readonly forSteps?: MountTools;
};

/** What becomes of its streams, and who is told that it runs. */
export type ContainerSurroundings = {
  readonly streams: ProcessStreams;
  readonly onStart: (started: StartedProcess) => void;
  readonly terminalSize?: ProcessRequest['terminalSize'];
};

/** An empty snapshot over an image, for a container to write on: who remembers its id before the container runs never loses what that wrote. */
export async function prepareContainer(
  image: SnapshotId | undefined,
  { snapshots }: Pick<ContainerTools, 'snapshots'>,
  signal: AbortSignal,
): Promise<SnapshotId> {
  await using active = await snapshots.prepare(image, signal);
  return (await active.commit(signal)).id;
}

/**
 * Runs the process over its own snapshot or a new writable one of the image. When it cannot start it throws: for `docker run`'s exit codes take
 * `runtime/command-not-found` as 127, `runtime/command-not-executable` as 126 and every other error as 125.
 */
export async function runContainer(
  request: ContainerRequest,
  tools: ContainerTools & ContainerSurroundings,
  signal: AbortSignal,
): Promise<ContainerOutcome> {
  await using active =
    request.snapshot === undefined
      ? await tools.snapshots.prepare(request.image, signal)
      : await tools.snapshots.reopen(request.snapshot, signal);
  const { status, tidy } = await runMounted();
  const ended = { code: status.code, isOutOfMemory: status.outOfMemory === true };
  if (!request.keep && request.snapshot === undefined) return { ...ended, snapshot: undefined };
  tidy(active.folder);
  return { ...ended, snapshot: (await active.commit(signal)).id };

  async function runMounted() {
    await using mounted = await active.mount(signal);
    const { withinNetwork = (act) => act() } = tools;
    withinNetwork(() => setNetwork(request));
    const { snapshots, runtime } = tools;
    const isConfined = request.held?.isPrivileged !== true;
    await using shown = await showImages(request.mounts ?? [], { snapshots, runtime, isConfined }, signal);
    using opened = openContainerMounts(shown.mounts, { rootfs: mounted.path, runtime }, signal);
    await using ofStep = await openStepMounts(request, tools, signal);
    return await runInRoot(
      {
        ...processOf(request, mounted.path, [...opened.mounts, ...(ofStep?.mounts ?? [])]),
        onStart: tools.onStart,
        terminalSize: tools.terminalSize,
      },
      tools.runtime,
      tools.streams,
      signal,
    );
  }
}

async function openStepMounts(
  { id, step, held }: ContainerRequest,
  { forSteps }: ContainerTools,
  signal: AbortSignal,
): Promise<OpenMounts | undefined> {
  if (step === undefined || forSteps === undefined) return undefined;
  const mounts = step.mounts.filter(({ kind }) => kind !== 'secret' && kind !== 'ssh');
  const { openMounts } = await import('./exec/mounts.ts');
  const given = { id, mounts, inputs: step.inputs, isConfined: held?.isPrivileged !== true, secrets: new Map(), agents: new Map() };
  return await openMounts(given, forSteps, () => undefined, signal);
}

/** Hands a signal (`SIGTERM`) to the first process of a running container; nothing when it has ended. Throws `runtime/unknown-signal`. */
export function signalContainer(id: string, name: string, { runtime }: Pick<ContainerTools, 'runtime'>): void {
  runtime.signal(id, name);
}

function processOf(request: ContainerRequest, rootfs: string, mounts: readonly RootMount[]): RootProcess {
  const { id, arguments: words, workingDirectory, user, network, hostname, terminal, stopSignal } = request;
  const environment = withDefaults(request.environment, [`HOSTNAME=${hostname}`, ...(terminal ? ['TERM=xterm'] : [])]);
  const given = { id, rootfs, arguments: words, environment, workingDirectory, user, network, hostname, terminal, stopSignal };
  const { isPrivileged = false, extraHosts = [], shmSize = null, ownsNetwork = false, ...rest } = request.held ?? {};
  const confinement = ownsNetwork && network === 'host' ? withoutNetwork(rest.confinement ?? {}) : (rest.confinement ?? {});
  const security = isPrivileged ? 'insecure' : 'sandbox';
  const naming = request.naming === undefined ? {} : { naming: request.naming };
  return { ...given, ...naming, ...rest, security, confinement, extraHosts, shmSize, ownNames: true, mounts };
}

/** A runtime sets what belongs to a network only in one that it makes itself. */
function withoutNetwork({ sysctls = {}, ...confinement }: Confinement): Confinement {
  const kept = Object.entries(sysctls).filter(([name]) => !isOfNetwork(name));
  return kept.length === 0 ? confinement : { ...confinement, sysctls: Object.fromEntries(kept) };
}

/** Settings of the network that this process has for its container, in the /proc of this process. Throws `ops/sysctl`. */
function setNetwork({ network, held = {} }: ContainerRequest): void {
  if (held.ownsNetwork !== true || network !== 'host') return;
  for (const [name, value] of Object.entries(held.confinement?.sysctls ?? {})) {
    if (!isOfNetwork(name)) continue;
    try {
      writeFileSync(join('/proc/sys', name.includes('/') ? name : name.replaceAll('.', '/')), value, { flag: 'r+' });
    } catch (error) {
      throw new JettisonError('ops/sysctl', `Cannot set "${name}" to "${value}": ${messageOf(error)}`, {
        fault: 'environment',
        cause: error,
        hint: 'sysctl(8) lists what this kernel has',
      });
    }
  }
}

function isOfNetwork(name: string): boolean {
  return /^net[./](?:(?!\.\.)[^])*$/u.test(name);
}
