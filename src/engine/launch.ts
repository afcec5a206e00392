/** `start`, `run -d`, and all that leaves a container running behind it. */
import type { Report } from '#formats/progress/event.ts';
import type { Container } from '#execution/container/store.ts';
import type { ImageRecord } from '#stores/image/store.ts';
import { isUp } from './containers.ts';
import { unpackImage } from './fetch-image.ts';
import { withoutLostSnapshots } from './lost-snapshots.ts';
import { unpackMounted } from './mounted-trees.ts';
import type { Engine } from './open.ts';
import { startMonitor, type MonitorWish, type StartedMonitor } from './start-monitor.ts';

/** Starts a container in a process of its own. What its image lacks is unpacked before that, under this command's progress. Throws what starting throws. */
export async function launch(
  engine: Engine,
  container: Container,
  wish: MonitorWish,
  report: Report,
  signal: AbortSignal,
): Promise<StartedMonitor> {
  engine.hold();
  const record = engine.images.get(container.spec.imageId);
  const unpackAll = async (image: ImageRecord): Promise<void> => {
    await unpackImage(engine, image, report, signal);
    await unpackMounted(engine, container.spec, report, signal);
  };
  if (record !== undefined) {
    await withoutLostSnapshots(engine, async () => await unpackAll(record), report, signal);
  }
  return await startMonitor(engine, container.id, wish);
}

/** Starts a container and waits until it runs; one that runs already is left alone. */
export async function startContainer(engine: Engine, container: Container, report: Report, signal: AbortSignal): Promise<void> {
  if (isUp(container.state)) return;
  const { started } = await launch(engine, container, { awaitsClient: false, size: undefined }, report, signal);
  await started;
}
