/** `jettison run`: one container in the foreground, attached to this process's own standard streams. */
import type { Report } from '#formats/progress/event.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { Container } from '#execution/container/store.ts';
import type { ContainerRequest, SnapshotId, Worker } from '#execution/worker/contract.ts';
import type { CreateRequest } from './container-requests.ts';
import type { ContainerNetwork } from '#execution/network/container-network.ts';
import { openContainerNetwork } from './container-network.ts';
import { createContainer } from './create-container.ts';
import { unpackImage } from './fetch-image.ts';
import { withoutLostSnapshots } from './lost-snapshots.ts';
import type { Engine } from './open.ts';
import { resultRemoved } from './build-uses.ts';

/**
 * Gives the container's exit code (128 + n for signal n; 127 and 126 for a command that is not there or cannot be run). An abort hands the
 * signal that caused it to the container and waits for its end. Throws for what fails before the container starts.
 */
export async function run(engine: Engine, request: CreateRequest, report: Report, signal: AbortSignal): Promise<number> {
  const id = await createContainer(engine, request, report, signal);
  try {
    return await withoutLostSnapshots(engine, async () => await runOnce(engine, id, report, signal), report, signal);
  } catch (error) {
    engine.containers.remove(id);
    throw error;
  }
}

async function runOnce(engine: Engine, id: string, report: Report, signal: AbortSignal): Promise<number> {
  const container = engine.containers.find(id);
  const record = container && engine.images.get(container.spec.imageId);
  if (container === undefined || record === undefined) throw resultRemoved();
  const { spec } = container;
  const image = await unpackImage(engine, record, report, signal);
  using lock = engine.containers.lock(id);
  if (lock === undefined) throw resultRemoved();
  await using network = await openContainerNetwork(engine, container, report);
  await using worker = await engine.attachedWorker(signal, network.worker);
  if (worker.pid !== undefined) await network.connect(worker.pid, signal);
  engine.containers.noteStart(id, engine.now());
  const outcome = await runForwarding(worker, requestOf(container, image, network), signal);
  engine.containers.noteEnd(id, { code: outcome.code, at: engine.now(), snapshot: outcome.snapshot });
  if (spec.autoRemove) engine.containers.remove(id);
  return outcome.code;
}

function requestOf({ id, spec }: Container, image: SnapshotId | undefined, network: ContainerNetwork): ContainerRequest {
  return {
    id,
    image,
    arguments: spec.arguments,
    environment: spec.environment,
    user: spec.user,
    workingDirectory: spec.workingDirectory,
    hostname: network.hostname ?? spec.hostname,
    network: network.runtime,
    naming: { addresses: network.addresses, resolvConf: network.resolvConf },
    terminal: spec.terminal,
    stopSignal: spec.stopSignal || 'SIGTERM',
    keep: !spec.autoRemove,
  };
}

/** Runs the container; an abort becomes a signal to it, so that it ends in its own way. */
async function runForwarding(worker: Worker, container: ContainerRequest, signal: AbortSignal): ReturnType<Worker['runContainer']> {
  const forward = (): void => worker.signalContainer(container.id, signalNameOf(signal.reason));
  signal.addEventListener('abort', forward, { once: true });
  try {
    return await worker.runContainer(container, new AbortController().signal);
  } finally {
    signal.removeEventListener('abort', forward);
  }
}

function signalNameOf(reason: unknown): string {
  return reason instanceof JettisonError && typeof reason.cause === 'string' ? reason.cause : 'SIGTERM';
}
