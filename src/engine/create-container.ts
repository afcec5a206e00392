/** `jettison create`, and the first half of `run`: finds the image, resolves what was asked for against its config, and enters the container. */
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import type { ContainerConfig } from '#formats/oci/image-config.ts';
import { decodeImageConfig } from '#formats/oci/image-config.ts';
import { noSuchPlatform } from '#formats/oci/image-index.ts';
import { matchPlatform, normalPlatform, platformRank, printPlatform } from '#formats/oci/platform.ts';
import { familiarReference, parseReference, withDefaultTag } from '#formats/oci/reference.ts';
import type { Report } from '#formats/progress/event.ts';
import { randomHex } from '#ground/base/random.ts';
import { JettisonError, messageOf, systemCode } from '#ground/base/errors.ts';
import { imagesOf } from '#stores/image/indexes.ts';
import { checkConfig, noSuchImage, type ImageRecord } from '#stores/image/store.ts';
import { assertHealthCheck, probeWords, type HealthCheck } from '#execution/container/health.ts';
import type { SpecMount } from '#execution/container/settings.ts';
import { checkLogging } from '#execution/container/logging.ts';
import type { ContainerSpec } from '#execution/container/spec.ts';
import { requireLimits } from '#execution/worker/limits.ts';
import { resultRemoved } from './build-uses.ts';
import type { CreateRequest } from './container-requests.ts';
import { fetchImage } from './fetch-image.ts';
import { findContainer } from './find-container.ts';
import { removeLostContainers } from './lost-containers.ts';
import { noteContainer } from './note-events.ts';
import type { Engine } from './open.ts';
import { nativeOrAsked, otherPlatform } from './platform.ts';
import { resolveMounts } from './resolve-mounts.ts';

const defaultPath = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Gives its id. Nothing of it runs, and nothing is unpacked. Throws what finding the image throws, `engine/no-command`, `container/name-taken`, `engine/id-file`, `oci/no-such-platform`, `runtime/limit-unsupported`, and what refuses the logging. */
export async function createContainer(engine: Engine, request: CreateRequest, report: Report, signal: AbortSignal): Promise<string> {
  checkLogging(request.logging);
  requireLimits(request.settings.limits);
  const lease = engine.hold();
  using idFile = request.idFile === undefined ? undefined : openIdFile(request.idFile);
  const record = await findOrFetch(engine, request, report, signal);
  await checkPlatform(engine, { record, request }, report);
  checkConfig(record);
  const config = decodeImageConfig(record.config, record.imageId).config ?? {};
  const id = randomHex(32);
  const network = ofContainerById(engine, request.network);
  const spec = resolveSpec(request, { id, record, config, network, proxies: await engine.proxies() });
  let mounts: SpecMount[] = [];
  const named = request.name === undefined ? undefined : engine.containers.find(request.name);
  if (named !== undefined && named.name === request.name) removeLostContainers(engine, [named]);
  engine.database.transaction(() => {
    if (engine.images.get(record.imageId) === undefined) throw resultRemoved();
    const imageVolumes = Object.keys(config.Volumes ?? {});
    mounts = [...resolveMounts(engine, { ...request, imageVolumes })];
    engine.containers.create({
      id,
      name: request.name,
      spec: { ...spec, mounts, ...(request.startsAtOnce ? { starter: lease } : {}) },
      created: engine.now(),
    });
  });
  for (const mount of mounts) if (mount.kind === 'volume') engine.volumes.folderOf(mount.name);
  idFile?.write(id);
  noteContainer(engine, findContainer(engine, id), 'create');
  return id;
}

/** Made at once, so that nothing comes of a container whose file cannot be written; taken away again where no id was written. Throws `engine/id-file`. */
function openIdFile(path: string): Disposable & { readonly write: (id: string) => void } {
  let isWritten = false;
  const file = makeIdFile(path);
  return {
    write: (id) => {
      writeSync(file, id);
      isWritten = true;
    },
    [Symbol.dispose]: () => {
      closeSync(file);
      if (!isWritten) rmSync(path, { force: true });
    },
  };
}

function makeIdFile(path: string): number {
  try {
    return openSync(path, 'wx', 0o666);
  } catch (error) {
    const why =
      systemCode(error) === 'EEXIST'
        ? `Container ID file found, make sure the other container isn't running or delete ${path}`
        : `failed to create the container ID file: ${messageOf(error)}`;
    throw new JettisonError('engine/id-file', why, { cause: error });
  }
}

async function findOrFetch(engine: Engine, request: CreateRequest, report: Report, signal: AbortSignal): Promise<ImageRecord> {
  const platform = nativeOrAsked(request.platform);
  const local = request.pull === 'always' ? undefined : engine.images.find(request.image);
  if (local !== undefined) {
    if (request.platform === undefined || platformRank(decodeImageConfig(local.config, local.imageId), platform) !== undefined)
      return local;
    const index = engine.indexes.find(request.image);
    const [member] = index === undefined ? [] : matchPlatform(imagesOf(index), platform);
    const other = member && engine.images.get(member.imageId);
    if (other !== undefined) return other;
  }
  const reference = withDefaultTag(parseReference(request.image));
  if (request.pull === 'never') throw noSuchImage(familiarReference(reference), 'Without --pull=never it is pulled');
  report({ kind: 'note', text: `Unable to find image '${familiarReference(reference)}' locally` });
  const { record, found } = await fetchImage(engine, { reference, platform }, report, signal);
  const other = request.platform === undefined ? undefined : otherPlatform(found.config, platform);
  if (other === undefined) return record;
  throw noSuchPlatform(platform, familiarReference(reference), `It is for ${printPlatform(other)}: leave --platform out, or ask for that`);
}

/** Docker's words for an image of another platform that nobody asked for; an error where its programs cannot run. */
async function checkPlatform(
  engine: Engine,
  { record, request }: { readonly record: ImageRecord; readonly request: CreateRequest },
  report: Report,
): Promise<void> {
  const image = normalPlatform(decodeImageConfig(record.config, record.imageId));
  const native = nativeOrAsked(undefined);
  if (platformRank(image, native) !== undefined) return;
  if (request.platform === undefined)
    report({
      kind: 'note',
      text: `WARNING: The requested image's platform (${printPlatform(image)}) does not match the detected host platform (${printPlatform(native)}) and no specific platform was requested`,
    });
  const { requireRunnable } = await import('#execution/worker/platforms.ts');
  requireRunnable(image, { what: `Image "${request.image}"`, path: engine.environment['PATH'] ?? '' });
}

function resolveSpec(
  request: CreateRequest,
  {
    id,
    record,
    config,
    network,
    proxies,
  }: Pick<ContainerSpec, 'network'> & {
    readonly id: string;
    readonly record: ImageRecord;
    readonly config: ContainerConfig;
    readonly proxies: ReadonlyMap<string, string>;
  },
): Omit<ContainerSpec, 'mounts'> {
  return {
    image: request.image,
    imageId: record.imageId,
    ...commandOf(request, config),
    environment: [...mergeEnvironment([defaultPath, ...(config.Env ?? [])], [...inBothCases(proxies), ...request.environment])],
    workingDirectory: request.workingDirectory ?? config.WorkingDir ?? '',
    user: request.user ?? config.User ?? '',
    hostname: request.hostname ?? id.slice(0, 12),
    domainname: request.domainname ?? '',
    terminal: request.terminal,
    openStdin: request.openStdin,
    stdinOnce: request.stdinOnce,
    attach: [...request.attach],
    stopSignal: request.stopSignal ?? config.StopSignal ?? '',
    stopTimeout: request.stopTimeout ?? null,
    labels: { ...config.Labels, ...request.labels },
    autoRemove: request.autoRemove,
    restart: request.restart,
    logging: request.logging,
    network,
    settings: request.settings,
    health: healthOf(request, config),
    exposedPorts: [...new Set([...Object.keys(config.ExposedPorts ?? {}), ...request.exposedPorts])].toSorted(),
  };
}

/** What was asked for, and the image's for the rest. Throws `container/bad-health-check`. */
function healthOf({ health: asked, settings }: CreateRequest, { Healthcheck: own, Shell }: ContainerConfig): HealthCheck | null {
  if (settings.lacksHealthcheck) return null;
  const test = asked.command === undefined ? (own?.Test ?? []) : ['CMD-SHELL', asked.command];
  const check = {
    test: [...test],
    interval: asked.interval || (own?.Interval ?? 0),
    timeout: asked.timeout || (own?.Timeout ?? 0),
    startPeriod: asked.startPeriod || (own?.StartPeriod ?? 0),
    startInterval: asked.startInterval || (own?.StartInterval ?? 0),
    retries: asked.retries || (own?.Retries ?? 0),
    shell: Shell === undefined || Shell.length === 0 ? ['/bin/sh', '-c'] : [...Shell],
  };
  assertHealthCheck(check);
  return probeWords(check) === undefined && test[0] !== 'NONE' && Object.values(asked).every((value) => !value) ? null : check;
}

/** The container whose network is shared may get another name. Throws `engine/no-such-container`. */
function ofContainerById(engine: Engine, wish: CreateRequest['network']): CreateRequest['network'] {
  const { place } = wish;
  return place.kind === 'container' ? { ...wish, place: { ...place, container: findContainer(engine, place.container).id } } : wish;
}

/** ENTRYPOINT and CMD as the docker CLI combines them: an entrypoint given here also drops the image's CMD. */
function commandOf(request: CreateRequest, config: ContainerConfig): Pick<ContainerSpec, 'arguments' | 'entrypoint' | 'command'> {
  const entrypoint =
    request.entrypoint === undefined ? (config.Entrypoint ?? null) : request.entrypoint === '' ? null : [request.entrypoint];
  const fallback = request.entrypoint === undefined ? (config.Cmd ?? null) : null;
  const command = request.arguments.length > 0 ? request.arguments : fallback;
  const words = [...(entrypoint ?? []), ...(command ?? [])];
  if (words.length === 0)
    throw new JettisonError('engine/no-command', 'No command specified', {
      hint: 'The image has neither ENTRYPOINT nor CMD: name a command after it',
    });
  return { arguments: words, entrypoint: entrypoint && [...entrypoint], command: command && [...command] };
}

/** As docker has it, each spelling stands for itself: what the image says of it does not count, what was asked for does. */
function inBothCases(proxies: ReadonlyMap<string, string>): readonly string[] {
  return [...proxies].flatMap(([name, value]) => [`${name}=${value}`, `${name.toLowerCase()}=${value}`]);
}

/** Later entries win and stay in the place of the first; `NAME` without a value takes the name away. */
function mergeEnvironment(base: readonly string[], over: readonly string[]): readonly string[] {
  const merged = new Map<string, string>();
  for (const entry of [...base, ...over]) {
    const at = entry.indexOf('=');
    if (at < 0) merged.delete(entry);
    else merged.set(entry.slice(0, at), entry);
  }
  return [...merged.values()];
}
