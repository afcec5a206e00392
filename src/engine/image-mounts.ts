/**
 * `jettison image mount` and `unmount`: the files of an image, to be read where they lie. There is no daemon to hold them: the mount is the machine's, and stays until somebody takes it away
 * or the machine ends. An image that is mounted stays in the store.
 */
import type { Report } from '#formats/progress/event.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { lockMounts, mountTree, unmountTree } from '#execution/worker/image-mounts.ts';
import { isMounted } from '#execution/worker/mount-point.ts';
import { checkConfig, noSuchImage } from '#stores/image/store.ts';
import { unpackImage } from './fetch-image.ts';
import { findImage } from './images.ts';
import { withoutLostSnapshots } from './lost-snapshots.ts';
import { describeMount, listMounts, type ImageMount } from './mounted-images.ts';
import type { Engine } from './open.ts';

export { listMounts, type ImageMount } from './mounted-images.ts';

/** Mounts it, or counts one more who has it. Throws `image/not-found`, `engine/cannot-mount` without root or overlays, `image/damaged`, `snapshot/...`. */
export async function mountImage(engine: Engine, name: string, report: Report, signal: AbortSignal): Promise<ImageMount> {
  if (process.getuid?.() !== 0) throw cannotMount('Only root can mount an image where others see it', name);
  const image = findImage(engine, name);
  checkConfig(image);
  engine.hold();
  const mount = describeMount(engine, image);
  const snapshot = await withoutLostSnapshots(engine, async () => await unpackImage(engine, image, report, signal), report, signal);
  const { rung } = await engine.worker(signal);
  if (rung.isolation !== 'oci' || rung.tree !== 'overlay') throw cannotMount('There are no overlays for this store on this machine', name);
  using _ = lockMounts(engine.paths.store);
  const isFirst = !isMounted(mount.path);
  engine.database
    .prepare(
      `INSERT INTO image_mounts (image_id, count) VALUES (?, 1) ON CONFLICT (image_id) DO UPDATE SET count = ${isFirst ? '1' : 'count + 1'}`,
    )
    .run(image.imageId);
  if (!isFirst) return mount;
  await mountTree(engine.paths.store, { snapshot, path: mount.path }, signal);
  // It may have been removed before it was mounted.
  if (engine.images.get(image.imageId) !== undefined) return mount;
  unmountTree(mount.path);
  throw noSuchImage(name, 'It was removed meanwhile');
}

/** One less has it; the last one, or `force`, takes the mount away. Gives what was mounted. Throws `image/not-found`, `engine/not-mounted`. */
export function unmountImage(engine: Engine, name: string, force: boolean): ImageMount {
  const mount = describeMount(engine, findImage(engine, name));
  using _ = lockMounts(engine.paths.store);
  if (!isMounted(mount.path))
    throw new JettisonError('engine/not-mounted', `Image ${name} is not mounted`, { hint: '"jettison image mount" lists those that are' });
  const row = engine.database.prepare('SELECT count FROM image_mounts WHERE image_id = ?').get(mount.id);
  if (!force && Number(row?.['count'] ?? 1) > 1) {
    engine.database.prepare('UPDATE image_mounts SET count = count - 1 WHERE image_id = ?').run(mount.id);
    return mount;
  }
  unmountTree(mount.path);
  engine.database.prepare('DELETE FROM image_mounts WHERE image_id = ?').run(mount.id);
  return mount;
}

/** Takes all mounts away, however many have them. */
export function unmountAll(engine: Engine): readonly ImageMount[] {
  return listMounts(engine).map(({ id }) => unmountImage(engine, id, true));
}

function cannotMount(why: string, name: string): JettisonError {
  return new JettisonError('engine/cannot-mount', why, {
    fault: 'environment',
    hint: `Make a folder of its files: jettison unpack ${name} FOLDER`,
  });
}
