/** Where the files of a container are, and the worker that reaches them. */
import type { Container } from '#execution/container/store.ts';
import type { ContainerMount, FilesPlace, FileStreams, Worker } from '#execution/worker/contract.ts';
import type { Report } from '#formats/progress/event.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { checkConfig } from '#stores/image/store.ts';
import { mountsOf } from './confine-container.ts';
import { isUp } from './containers.ts';
import { unpackImage } from './fetch-image.ts';
import { withoutLostSnapshots } from './lost-snapshots.ts';
import { unpackMounted } from './mounted-trees.ts';
import type { Engine } from './open.ts';
import { processOfContainer } from './container-process.ts';
import { removeAnonymousVolumes } from './volumes.ts';

export type FilesWorker = AsyncDisposable & { readonly worker: Worker; readonly streams: FileStreams; readonly place: FilesPlace };

/** `engine/no-such-container`, in docker's words. */
export function findContainer(engine: Engine, name: string): Container {
  const container = engine.containers.find(name);
  if (container !== undefined) return container;
  throw new JettisonError('engine/no-such-container', `No such container: ${name}`, { hint: '"jettison ps -a" lists what is here' });
}

/**
 * A worker with the container's files: as its process has them where it runs, else as they were left. With `writes`, a container that was never started gets a snapshot of its own, and one that
 * does not run cannot be started while this lasts. Throws `engine/container-busy` when somebody else holds it.
 */
export async function openContainerFiles(
  engine: Engine,
  { container, writes }: { readonly container: Container; readonly writes: boolean },
  report: Report,
  signal: AbortSignal,
): Promise<FilesWorker> {
  engine.hold();
  await using opened = new AsyncDisposableStack();
  const running = processOfContainer(engine, container);
  if (writes && running === undefined) opened.use(lockIdle(engine, container));
  const worker = opened.use(await engine.filesWorker(running?.pid, signal));
  const { streams } = worker;
  if (streams === undefined) throw new JettisonError('engine/no-streams', 'The worker has no streams', { fault: 'bug' });
  const place: FilesPlace =
    running === undefined
      ? {
          kind: 'snapshot',
          mounts: worker.rung.isolation === 'chroot' ? [] : await filesMounts(engine, container, report, signal),
          snapshot: await withoutLostSnapshots(
            engine,
            async () => await snapshotFor(engine, { container, writes, worker }, report, signal),
            report,
            signal,
          ),
        }
      : { kind: 'process', ...running };
  const resources = opened.move();
  return { worker, streams, place, [Symbol.asyncDispose]: async () => await resources.disposeAsync() };
}

/** What has files when the container does not run. */
async function filesMounts(engine: Engine, { spec }: Container, report: Report, signal: AbortSignal): Promise<readonly ContainerMount[]> {
  const trees = await unpackMounted(engine, spec, report, signal);
  return mountsOf(engine, spec, trees).filter(({ kind }) => kind === 'volume' || kind === 'bind' || kind === 'image');
}

/** Fills the volumes of a container that was never started with what its image has at their places, as docker does when it creates one; a start would do it otherwise. When that fails the container goes again. */
export async function fillVolumes(engine: Engine, name: string, report: Report, signal: AbortSignal): Promise<void> {
  const container = findContainer(engine, name);
  if (!container.spec.mounts.some((mount) => mount.kind === 'volume' && mount.fills)) return;
  try {
    await using files = await openContainerFiles(engine, { container, writes: false }, report, signal);
    await files.worker.lookAtFile({ place: files.place, path: '/', follow: false }, signal);
  } catch (error) {
    engine.containers.remove(container.id);
    removeAnonymousVolumes(engine, container.spec);
    throw error;
  }
}

function lockIdle(engine: Engine, container: Container): Disposable {
  const lock = engine.containers.lock(container.id);
  if (lock !== undefined) return lock;
  throw new JettisonError(
    'engine/container-busy',
    `Container ${container.name} is being started, removed or written to by another command`,
    {
      fault: 'environment',
      hint: 'Try again when that has ended',
    },
  );
}

/** A container's own files without what is mounted in it. Where trees are copied, those of a running one are known when it ends: throws `engine/not-built`. */
export function ownFilesOf(
  { name, snapshot, state }: Container,
  { tree }: Worker['rung'],
): { readonly snapshot: Container['snapshot']; readonly isLive: boolean } {
  const isLive = isUp(state);
  if (isLive && tree === 'copies')
    throw new JettisonError('engine/not-built', `Container ${name} is running: without mounts its files can be seen when it has ended`, {
      hint: 'End it first',
    });
  return { snapshot, isLive };
}

/** The same for one that was perhaps never started. */
export async function containerSnapshot(
  engine: Engine,
  { container, worker }: { readonly container: Container; readonly worker: Worker },
  report: Report,
  signal: AbortSignal,
): Promise<FilesPlace> {
  const { isLive } = ownFilesOf(container, worker.rung);
  const find = async () => await snapshotFor(engine, { container, writes: false, worker }, report, signal);
  return { kind: 'snapshot', snapshot: await withoutLostSnapshots(engine, find, report, signal), isLive };
}

async function snapshotFor(
  engine: Engine,
  { container, writes, worker }: { readonly container: Container; readonly writes: boolean; readonly worker: Worker },
  report: Report,
  signal: AbortSignal,
): Promise<Extract<FilesPlace, { kind: 'snapshot' }>['snapshot']> {
  if (container.snapshot !== undefined) return container.snapshot;
  const record = engine.images.get(container.spec.imageId);
  if (record === undefined)
    throw new JettisonError('engine/image-gone', `The image of container ${container.name} is gone: ${container.spec.imageId}`, {
      fault: 'environment',
    });
  checkConfig(record);
  const image = await unpackImage(engine, record, report, signal);
  if (!writes) return image;
  const own = await worker.prepareContainer(image, signal);
  engine.containers.noteSnapshot(container.id, own);
  return own;
}
