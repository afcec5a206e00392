/** Holding a container while it runs, again and again as its policy says: what a monitor does, be it a process of its own or `run` itself. */
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Report } from '#formats/progress/event.ts';
import { JettisonError, isCode, messageOf } from '#ground/base/errors.ts';
import { startOf } from '#ground/base/process-identity.ts';
import { logKeepingOf } from '#execution/container/logging.ts';
import type { Container } from '#execution/container/store.ts';
import type {
  ContainerOutcome,
  ContainerRequest,
  ContainerStart,
  ContainerWorker,
  SessionRequest,
  SnapshotId,
} from '#execution/worker/contract.ts';
import type { ContainerNetwork } from '#execution/network/container-network.ts';
import { confineContainer } from './confine-container.ts';
import { openContainerNetwork } from './container-network.ts';
import { noteContainer } from './note-events.ts';
import { unpackImage } from './fetch-image.ts';
import { withoutLostSnapshots } from './lost-snapshots.ts';
import { unpackMounted } from './mounted-trees.ts';
import { noSuchContainer } from './find-container.ts';
import type { Engine } from './open.ts';
import { watchHealth } from './probe-health.ts';
import { createRestarts, type Restarts } from './restarts.ts';
import { removeAnonymousVolumes } from './volumes.ts';

export type Holding = {
  /** The worker has this process's own streams: what goes where. Undefined: clients have them. */
  readonly own: { readonly stdin: boolean; readonly stdout: boolean; readonly stderr: boolean } | undefined;
  /** Its first run waits for a client. */
  readonly awaitsClient: boolean;
  readonly size: SessionRequest['size'];
  /** Of its first run. */
  readonly onReady: () => void;
  readonly onStart: () => void;
};

/**
 * Runs the container until it has ended for good; gives its last exit code (128 + n for signal n). An abort hands the signal that caused it to the container, which is
 * not started again. Throws what fails before its process runs, and `engine/container-held`, `engine/no-such-container`.
 */
export async function holdContainer(engine: Engine, id: string, holding: Holding, report: Report, signal: AbortSignal): Promise<number> {
  using lock = engine.containers.lock(id);
  if (lock === undefined) throw held(engine.containers.find(id)?.name ?? id);
  const found = engine.containers.find(id);
  // Removed while this process began: taking the lock has made its folder again.
  if (found === undefined) engine.containers.remove(id);
  if (found === undefined || found.state.kind === 'dead') throw noSuchContainer(id);
  engine.containers.noteStop(id, false);
  try {
    return await runUntilOver(engine, found, holding, report, signal);
  } catch (error) {
    engine.containers.noteFailure(id, { code: startFailureCode(error), at: engine.now(), error: messageOf(error) });
    throw error;
  } finally {
    // While the lock is held: nobody can start what is about to go.
    if (found.spec.autoRemove) {
      engine.containers.remove(id);
      noteContainer(engine, found, 'destroy');
      removeAnonymousVolumes(engine, found.spec);
    }
  }
}

/** What docker keeps as the exit code of a container that could not be started. */
export function startFailureCode(error: unknown): number {
  if (isCode(error, 'runtime/command-not-found')) return 127;
  if (isCode(error, 'runtime/no-interpreter') || isCode(error, 'runtime/not-a-program')) return 255;
  return isCode(error, 'runtime/command-not-executable') ? 126 : 128;
}

function held(name: string): JettisonError {
  return new JettisonError('engine/container-held', `Container ${name} is running already, or somebody is starting or removing it`);
}

async function runUntilOver(engine: Engine, container: Container, holding: Holding, report: Report, signal: AbortSignal): Promise<number> {
  const restarts = createRestarts(engine, container);
  await using start = createWorkerStart(engine, holding.own === undefined ? 'none' : 'inherit', signal);
  await using network = await openContainerNetwork(engine, container, report, start.begin);
  // A bridge without ports is left in the kernel.
  if (network.worker.kind === 'within') engine.leaveGarbage();
  await using worker = await start.take(network.worker);
  if (worker.pid !== undefined) await network.connect(worker.pid, signal);
  const first = async (): Promise<ContainerOutcome> =>
    await runOnce(engine, container.id, { worker, network, holding, isAgain: false }, report, signal);
  let outcome = await withoutLostSnapshots(engine, first, report, signal);
  while (noteEnd(engine, container.id, outcome, restarts, signal)) {
    if (!(await restarts.wait(signal))) {
      engine.containers.noteEnd(container.id, endOf(engine, outcome));
      break;
    }
    const again = { ...holding, awaitsClient: false, onReady: nothing, onStart: nothing };
    outcome = await runOnce(engine, container.id, { worker, network, holding: again, isAgain: true }, report, signal);
  }
  return outcome.code;
}

/** The container's worker, begun while the network that it was begun with is still being made. */
function createWorkerStart(engine: Engine, stdio: 'inherit' | 'none', signal: AbortSignal) {
  let begun: { readonly network: ContainerNetwork['worker']; readonly worker: Promise<ContainerWorker> } | undefined;
  const begin = (network: ContainerNetwork['worker']): Promise<ContainerWorker> => {
    const worker = engine.containerHolder(stdio, network, signal);
    worker.catch(() => undefined);
    begun = { network, worker };
    return worker;
  };
  const drop = async (): Promise<void> => {
    const left = await begun?.worker.catch(() => undefined);
    begun = undefined;
    await left?.[Symbol.asyncDispose]();
  };
  return {
    begin: (network: ContainerNetwork['worker']): void => void begin(network),
    /** It is the caller's from now on. */
    async take(network: ContainerNetwork['worker']): Promise<ContainerWorker> {
      if (begun?.network !== network) await drop();
      const worker = await (begun?.worker ?? begin(network));
      begun = undefined;
      return worker;
    },
    [Symbol.asyncDispose]: drop,
  };
}

function nothing(): void {}

/** True when it is to be started again. */
function noteEnd(engine: Engine, id: string, outcome: ContainerOutcome, restarts: Restarts, signal: AbortSignal): boolean {
  const isAgain = !signal.aborted && restarts.isDue(outcome.code);
  engine.containers.noteEnd(id, { ...endOf(engine, outcome), restarts: isAgain });
  return isAgain;
}

function endOf(engine: Engine, outcome: ContainerOutcome) {
  return { code: outcome.code, at: engine.now(), isOutOfMemory: outcome.isOutOfMemory };
}

type Run = { readonly network: ContainerNetwork; readonly worker: ContainerWorker; readonly holding: Holding; readonly isAgain: boolean };

async function runOnce(
  engine: Engine,
  id: string,
  { worker, network, holding, isAgain }: Run,
  report: Report,
  signal: AbortSignal,
): Promise<ContainerOutcome> {
  const container = engine.containers.find(id);
  const record = container && engine.images.get(container.spec.imageId);
  if (container === undefined) throw noSuchContainer(id);
  if (record === undefined) {
    throw new JettisonError('engine/container-image-gone', `The image of container ${container.name} is gone: ${container.spec.imageId}`);
  }
  engine.hold();
  const image = await unpackImage(engine, record, report, signal);
  const trees = await unpackMounted(engine, container.spec, report, signal);
  const folder = engine.containers.folder(id);
  const snapshot = container.spec.autoRemove ? undefined : await ownSnapshot(engine, container, { worker, image }, signal);
  const health = watchHealth(engine, container);
  let isNoted = false;
  const noteStart = (): void => {
    if (isNoted) return;
    isNoted = true;
    engine.containers.noteStart(id, engine.now(), isAgain);
    noteContainer(engine, container, 'start');
  };
  const session: SessionRequest = {
    folder,
    log: logKeepingOf(container.spec.logging, container),
    ...streamsOf(container, holding),
    ...(holding.size === undefined ? {} : { size: holding.size }),
    onReady: holding.onReady,
    onStart: (started) => {
      noteStart();
      writeState(engine, container, started);
      health.begin();
      holding.onStart();
      // From now on the row says what it needs. A command that ends with its container keeps its lease, as all commands do.
      if (holding.own === undefined) engine.letGo();
    },
  };
  const request = {
    ...requestOf(container, { image, snapshot, network }),
    ...confineContainer(engine, container.spec, { network, trees }),
  };
  try {
    const outcome = await runForwarding(worker, { request, session }, signal);
    noteStart();
    noteDeath(engine, id, outcome);
    return outcome;
  } finally {
    await health.end();
  }
}

function noteDeath(engine: Engine, id: string, { code, isOutOfMemory }: ContainerOutcome): void {
  const container = engine.containers.find(id);
  if (container === undefined) return;
  if (isOutOfMemory) noteContainer(engine, container, 'oom');
  const seconds = Math.floor((engine.now() - (container.state.started ?? engine.now())) / 1000);
  noteContainer(engine, container, 'die', { execDuration: String(seconds), exitCode: String(code) });
}

async function ownSnapshot(
  engine: Engine,
  { id, snapshot }: Container,
  { worker, image }: { readonly worker: ContainerWorker; readonly image: SnapshotId | undefined },
  signal: AbortSignal,
): Promise<SnapshotId> {
  if (snapshot !== undefined) return snapshot;
  const made = await worker.prepareContainer(image, signal);
  engine.containers.noteSnapshot(id, made);
  return made;
}

function streamsOf(
  { spec }: Container,
  { own, awaitsClient }: Holding,
): Pick<SessionRequest, 'stdin' | 'stdinOnce' | 'own' | 'awaitsClient'> {
  const isOwn = own?.stdin === true && spec.openStdin;
  return {
    stdin: isOwn ? 'own' : spec.openStdin ? 'clients' : 'nothing',
    stdinOnce: spec.stdinOnce,
    own: { stdout: own?.stdout === true, stderr: own?.stderr === true },
    awaitsClient,
  };
}

type Parts = { readonly image: SnapshotId | undefined; readonly snapshot: SnapshotId | undefined; readonly network: ContainerNetwork };

function requestOf({ id, spec }: Container, { image, snapshot, network }: Parts): ContainerRequest {
  return {
    id,
    image,
    ...(snapshot === undefined ? {} : { snapshot }),
    arguments: spec.arguments,
    environment: spec.environment,
    user: spec.user,
    workingDirectory: spec.workingDirectory || '/',
    hostname: network.hostname ?? spec.hostname,
    network: network.runtime,
    naming: { addresses: network.addresses, resolvConf: network.resolvConf },
    terminal: spec.terminal,
    stopSignal: spec.stopSignal || 'SIGTERM',
    keep: !spec.autoRemove,
  };
}

function processOf(pid: number | undefined) {
  return pid === undefined ? null : { pid, start: startOf(pid) ?? null };
}

/** For those who go into the container: see docs/architecture.md. */
function writeState(engine: Engine, { id, spec }: Container, started: ContainerStart): void {
  const state = {
    worker: processOf(started.worker),
    monitor: processOf(process.pid),
    process: processOf(started.hostPid),
    pidInWorker: started.pid,
    runtime: started.program,
    terminal: spec.terminal,
    started: engine.now(),
  };
  const path = join(engine.containers.folder(id), 'state.json');
  writeFileSync(`${path}.new`, JSON.stringify(state), { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

/** Runs the container; an abort becomes a signal to it, so that it ends in its own way. Before its program has been started nobody would hear that: it is not started then. */
async function runForwarding(
  worker: ContainerWorker,
  { request, session }: { readonly request: ContainerRequest; readonly session: SessionRequest },
  signal: AbortSignal,
): Promise<ContainerOutcome> {
  signal.throwIfAborted();
  const starting = new AbortController();
  let isStarted = false;
  const forward = (): void => {
    if (isStarted) worker.signalContainer(request.id, signalNameOf(signal.reason));
    else starting.abort(signal.reason);
  };
  signal.addEventListener('abort', forward, { once: true });
  const onStart = (started: ContainerStart): void => {
    isStarted = true;
    session.onStart?.(started);
  };
  try {
    return await worker.runContainer(request, { ...session, onStart }, starting.signal);
  } finally {
    signal.removeEventListener('abort', forward);
  }
}

function signalNameOf(reason: unknown): string {
  return reason instanceof JettisonError && typeof reason.cause === 'string' ? reason.cause : 'SIGTERM';
}
