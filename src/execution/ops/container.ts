/** A container's process: `jettison run`. */
import type { SnapshotId, SnapshotStore } from '#stores/snapshot/contract.ts';
import type { ProcessRequest, ProcessStreams, Runtime, StartedProcess } from '#execution/runtime/contract.ts';
import { runInRoot, withDefaults, type Naming, type RootProcess } from './exec/process.ts';

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
  /** The container's own snapshot (see `prepareContainer`): it is written on, whatever becomes of this process. Undefined: a new one over `image`. */
  readonly snapshot?: SnapshotId;
  /** Keep what the container wrote as a committed snapshot; always, where it has one of its own. */
  readonly keep: boolean;
};

export type ContainerOutcome = {
  /** 128 + n when signal n ended the process. */
  readonly code: number;
  /** What the container wrote, kept when `keep` was asked for. */
  readonly snapshot: SnapshotId | undefined;
  readonly isOutOfMemory: boolean;
};

export type ContainerTools = { readonly snapshots: SnapshotStore; readonly runtime: Runtime };

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
 * Runs the process over its own snapshot or a new writable one of the image. Volumes of the
 * image are part of that snapshot: nothing else outlives the container. When it cannot start it throws: for `docker run`'s exit codes take
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
    return await runInRoot(
      { ...processOf(request, mounted.path), onStart: tools.onStart, terminalSize: tools.terminalSize },
      tools.runtime,
      tools.streams,
      signal,
    );
  }
}

/** Hands a signal (`SIGTERM`) to the first process of a running container; nothing when it has ended. Throws `runtime/unknown-signal`. */
export function signalContainer(id: string, name: string, { runtime }: Pick<ContainerTools, 'runtime'>): void {
  runtime.signal(id, name);
}

function processOf(request: ContainerRequest, rootfs: string): RootProcess {
  const { id, arguments: words, workingDirectory, user, network, hostname, terminal, stopSignal } = request;
  const environment = withDefaults(request.environment, [`HOSTNAME=${hostname}`, ...(terminal ? ['TERM=xterm'] : [])]);
  const given = { id, rootfs, arguments: words, environment, workingDirectory, user, network, hostname, terminal, stopSignal };
  return {
    ...given,
    ...(request.naming === undefined ? {} : { naming: request.naming }),
    security: 'sandbox',
    extraHosts: [],
    ownNames: true,
    shmSize: null,
    mounts: [],
  };
}
