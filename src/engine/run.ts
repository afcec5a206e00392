/** `jettison run`: one container in the foreground, attached to this process's own standard streams. */
import { randomBytes } from 'node:crypto';
import type { ContainerConfig } from '#formats/oci/image-config.ts';
import { decodeImageConfig } from '#formats/oci/image-config.ts';
import { platformRank } from '#formats/oci/platform.ts';
import { parseReference, printReference, withDefaultTag } from '#formats/oci/reference.ts';
import type { Report } from '#formats/progress/event.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { checkConfig, noSuchImage, type ImageRecord } from '#stores/image/store.ts';
import type { ContainerRequest, Worker } from '#execution/worker/contract.ts';
import { resultRemoved } from './build-uses.ts';
import { fetchImage, unpackImage } from './fetch-image.ts';
import { withoutLostSnapshots } from './lost-snapshots.ts';
import type { Engine } from './open.ts';
import { nativeOrAsked } from './platform.ts';
import type { RunRequest } from './container-requests.ts';

const defaultPath = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * Gives the container's exit code (128 + n for signal n; 127 and 126 for a command that is not there or cannot be run). An abort hands the
 * signal that caused it to the container and waits for its end. Throws for what fails before the container starts.
 */
export async function run(engine: Engine, request: RunRequest, report: Report, signal: AbortSignal): Promise<number> {
  return await withoutLostSnapshots(engine, async () => await runOnce(engine, request, report, signal), report, signal);
}

async function runOnce(engine: Engine, request: RunRequest, report: Report, signal: AbortSignal): Promise<number> {
  engine.hold();
  const record = await findOrFetch(engine, request, report, signal);
  checkConfig(record);
  const image = await unpackImage(engine, record, report, signal);
  const config = decodeImageConfig(record.config, record.imageId).config ?? {};
  const id = randomBytes(32).toString('hex');
  const command = processOf(request, config);
  engine.database.transaction(() => {
    if (engine.images.get(record.imageId) === undefined) throw resultRemoved();
    engine.containers.start({
      id,
      name: request.name,
      image: request.image,
      imageId: record.imageId,
      command: command.arguments,
      created: engine.now(),
      process: process.pid,
    });
  });
  try {
    await using worker = await engine.attachedWorker(signal);
    const container: ContainerRequest = {
      id,
      image,
      ...command,
      user: request.user ?? config.User ?? '',
      workingDirectory: request.workingDirectory ?? (config.WorkingDir || '/'),
      hostname: request.hostname ?? id.slice(0, 12),
      network: request.network,
      terminal: request.terminal,
      stopSignal: config.StopSignal ?? 'SIGTERM',
      keep: !request.remove,
    };
    const outcome = await runForwarding(worker, container, signal);
    engine.containers.end(id, { code: outcome.code, at: engine.now(), snapshot: outcome.snapshot });
    if (request.remove) engine.containers.remove(id);
    return outcome.code;
  } catch (error) {
    engine.containers.remove(id);
    throw error;
  }
}

async function findOrFetch(engine: Engine, request: RunRequest, report: Report, signal: AbortSignal): Promise<ImageRecord> {
  const platform = nativeOrAsked(request.platform);
  const local = request.pull === 'always' ? undefined : engine.images.find(request.image);
  if (local !== undefined) {
    if (request.platform === undefined || platformRank(decodeImageConfig(local.config, local.imageId), platform) !== undefined)
      return local;
  }
  const reference = withDefaultTag(parseReference(request.image));
  if (request.pull === 'never') throw noSuchImage(printReference(reference), 'Without --pull=never it is pulled');
  report({ kind: 'note', text: `Unable to find image '${request.image}' locally` });
  const { record } = await fetchImage(engine, { reference, platform }, report, signal);
  return record;
}

/** ENTRYPOINT and CMD as the docker CLI combines them: an entrypoint given here also drops the image's CMD. */
function processOf(
  request: RunRequest,
  config: ContainerConfig,
): { readonly arguments: readonly string[]; readonly environment: readonly string[] } {
  const entrypoint = request.entrypoint === undefined ? (config.Entrypoint ?? []) : request.entrypoint === '' ? [] : [request.entrypoint];
  const fallback = request.entrypoint === undefined ? (config.Cmd ?? []) : [];
  const words = [...entrypoint, ...(request.arguments.length > 0 ? request.arguments : fallback)];
  if (words.length === 0)
    throw new JettisonError('engine/no-command', 'No command specified', {
      hint: 'The image has neither ENTRYPOINT nor CMD: name a command after it',
    });
  return { arguments: words, environment: mergeEnvironment([defaultPath, ...(config.Env ?? [])], request.environment, request.terminal) };
}

/** Later entries win and stay in the place of the first; `NAME` without a value takes the name away. */
function mergeEnvironment(base: readonly string[], over: readonly string[], terminal: boolean): readonly string[] {
  const merged = new Map<string, string>();
  for (const entry of [...base, ...(terminal ? ['TERM=xterm'] : []), ...over]) {
    const at = entry.indexOf('=');
    if (at < 0) merged.delete(entry);
    else merged.set(entry.slice(0, at), entry);
  }
  return [...merged.values()];
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
