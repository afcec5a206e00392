/** `jettison ps` and `rm` */
import { decodeImageConfig } from '#formats/oci/image-config.ts';
import { printPlatform } from '#formats/oci/platform.ts';
import type { Digest } from '#ground/base/digest.ts';
import { JettisonError, unreachable } from '#ground/base/errors.ts';
import { formatAge } from '#ground/base/human.ts';
import { sleep } from '#ground/base/retry.ts';
import type { Container, ContainerState } from '#execution/container/store.ts';
import { healthOf, type Health } from './container-health.ts';
import { readContainerFilters } from './container-filters.ts';
import { findContainer } from './find-container.ts';
import { isAboutToStart } from './lost-containers.ts';
import { noteContainer } from './note-events.ts';
import type { Engine } from './open.ts';
import type { ContainerRow, ContainerSize } from './container-requests.ts';
import { removeAnonymousVolumes } from './volumes.ts';

export type ListRequest = {
  readonly all: boolean;
  /** `name=web`, see container-filters.ts. */
  readonly filters?: readonly string[];
  /** The newest ones only, running or not; undefined: no limit. */
  readonly last?: number | undefined;
};

/** Newest first; only running ones unless `all`, `last` or a filter says otherwise. Throws `engine/bad-filter`. */
export function listContainers(engine: Engine, { all, filters = [], last }: ListRequest): readonly ContainerRow[] {
  const { matches, showsAll } = readContainerFilters(engine, filters);
  const isAll = all || showsAll || last !== undefined;
  const platformOf = platformsOfImages(engine);
  return engine.containers
    .list()
    .filter((container) => (isAll || isUp(container.state)) && matches(container))
    .slice(0, last)
    .map((container) => ({
      id: container.id,
      name: container.name,
      image: shownImage(engine, container),
      state: container.state.kind,
      labels: container.spec.labels,
      command: commandLine(container.spec.arguments),
      created: container.created,
      status: statusOf(container, healthOf(engine, container), engine.now()),
      mounts: container.spec.mounts.flatMap((mount) =>
        mount.kind === 'tmpfs' ? [] : [mount.kind === 'volume' ? mount.name : mount.source],
      ),
      localVolumes: container.spec.mounts.filter(({ kind }) => kind === 'volume').length,
      networks: networkNames(container),
      platform: platformOf(container.spec.imageId),
    }));
}

/** Many containers of one image are usual, and its config is long: read once. '' where the image is gone. */
function platformsOfImages(engine: Engine): (imageId: Digest) => string {
  const known = new Map<Digest, string>();
  return (imageId) => {
    const found = known.get(imageId);
    if (found !== undefined) return found;
    const image = engine.images.get(imageId);
    const platform = image === undefined ? '' : printPlatform(decodeImageConfig(image.config, image.imageId));
    known.set(imageId, platform);
    return platform;
  };
}

function networkNames({ spec }: Container): readonly string[] {
  const { place } = spec.network;
  if (place.kind === 'networks') return place.networks.map(({ network }) => network);
  return place.kind === 'container' ? [] : [place.kind === 'default' ? 'bridge' : place.kind];
}

/** By id. Reads all names of what containers wrote. */
export async function containerSizes(engine: Engine, containers = engine.containers.list()): Promise<ReadonlyMap<string, ContainerSize>> {
  const { openKeeper } = await import('#execution/worker/keeper.ts');
  await using keeper = await openKeeper(engine.paths.store);
  return new Map(
    containers.map(({ id, snapshot, spec }) => {
      const own = snapshot === undefined ? 0 : keeper.fileBytes(snapshot);
      const image = engine.images.get(spec.imageId)?.layers.reduce((sum, { size }) => sum + size, 0) ?? 0;
      return [id, { own, all: own + image }];
    }),
  );
}

/** The name that it was asked for by, as long as that is the same image. */
function shownImage(engine: Engine, { spec }: Container): string {
  return engine.images.find(spec.image)?.imageId === spec.imageId ? spec.image : spec.imageId;
}

/** As docker joins words: those behind the first that hold blanks are quoted. */
function commandLine([first = '', ...rest]: readonly string[]): string {
  return [first, ...rest.map((word) => (word.includes(' ') ? `'${word}'` : word))].join(' ');
}

/** It has a process, or will have one again without anybody's doing. */
export function isUp({ kind }: ContainerState): boolean {
  return kind === 'running' || kind === 'paused' || kind === 'restarting';
}

/** The words of the docker CLI. */
function statusOf({ state, created }: Container, health: Health | undefined, now: number): string {
  const up = `Up ${formatAge(now - (state.started ?? created))}`;
  const ended = `(${state.code}) ${formatAge(now - (state.ended ?? created))} ago`;
  switch (state.kind) {
    case 'created':
      return 'Created';
    case 'running':
      return health === undefined ? up : `${up} (${health.status === 'starting' ? 'health: starting' : health.status})`;
    case 'paused':
      return `${up} (Paused)`;
    case 'restarting':
      return `Restarting ${ended}`;
    case 'exited':
      return `Exited ${ended}`;
    case 'dead':
      return 'Dead';
    default:
      return unreachable(state.kind, 'state');
  }
}

/** Gives what was removed, as it was named. Throws `engine/no-such-container`, `engine/container-running`. */
export async function removeContainers(
  engine: Engine,
  names: readonly string[],
  options: { readonly force: boolean; readonly volumes?: boolean },
  signal: AbortSignal,
): Promise<readonly string[]> {
  for (const name of names) await removeContainer(engine, name, options, signal);
  return names;
}

async function removeContainer(
  engine: Engine,
  name: string,
  { force, volumes = false }: { readonly force: boolean; readonly volumes?: boolean },
  signal: AbortSignal,
): Promise<void> {
  const container = findContainer(engine, name);
  using lock = await (force ? lockByForce(engine, container, signal) : lockForRemoval(engine, container, signal));
  if (lock === undefined) throw isUp(stateNow(engine, container)) ? stillRunning(container) : stillHeld(container);
  const { snapshot } = engine.containers.find(container.id) ?? {};
  engine.containers.noteRemoval(container.id);
  if (snapshot !== undefined) {
    const worker = await engine.worker(signal);
    await worker.release([snapshot], signal);
  }
  engine.containers.remove(container.id);
  noteContainer(engine, container, 'destroy');
  if (volumes) removeAnonymousVolumes(engine, container.spec);
}

/** Milliseconds that the holder of a container which has ended may take to let go of it, and one that is only starting it to do so. */
const lastMoments = 3000;
const longestStart = 30_000;
const lookEvery = 20;

/** Undefined while it runs. */
async function lockForRemoval(
  engine: Engine,
  container: Container,
  signal: AbortSignal,
  patience = lastMoments,
): Promise<Disposable | undefined> {
  for (const until = Date.now() + patience; ;) {
    const isLate = Date.now() > until;
    const now = engine.containers.find(container.id) ?? container;
    // Who is about to start it has its turn: otherwise that command would find it gone in the middle of its work.
    const lock = !isLate && isAboutToStart(engine, now) ? undefined : engine.containers.lock(container.id);
    if (lock !== undefined) return lock;
    if (isUp(now.state) || isLate) return undefined;
    await sleep(lookEvery, signal);
  }
}

/** One that is being started meanwhile is ended when it runs. */
async function lockByForce(engine: Engine, container: Container, signal: AbortSignal): Promise<Disposable | undefined> {
  if (!isUp(stateNow(engine, container))) {
    const lock = await lockForRemoval(engine, container, signal, longestStart);
    if (lock !== undefined || !isUp(stateNow(engine, container))) return lock;
  }
  const running = engine.containers.find(container.id);
  if (running !== undefined) {
    const { endContainer } = await import('./end-container.ts');
    await endContainer(engine, running, signal);
  }
  return await lockForRemoval(engine, container, signal);
}

function stateNow(engine: Engine, { id, state }: Container): ContainerState {
  return engine.containers.find(id)?.state ?? state;
}

function stillHeld({ name }: Container): JettisonError {
  return new JettisonError('engine/container-held', `cannot remove container "${name}": somebody is starting it, or removing it`, {
    hint: 'Try it again when that has been done',
  });
}

function stillRunning({ name }: Container): JettisonError {
  const text = `cannot remove container "${name}": container is running: stop the container before removing or force remove`;
  return new JettisonError('engine/container-running', text, { hint: `jettison rm -f ${name}` });
}
