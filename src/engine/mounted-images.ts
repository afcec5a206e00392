/** Which images are mounted: these stay in the store. */
import { join } from 'node:path';
import { familiarReference, parseReference } from '#formats/oci/reference.ts';
import { hexOf, parseDigest, type Digest } from '#ground/base/digest.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { ContainerSpec } from '#execution/container/spec.ts';
import { isMounted } from '#execution/worker/mount-point.ts';
import type { ImageRecord } from '#stores/image/store.ts';
import type { Engine } from './open.ts';

/** How often each image was mounted, less how often unmounted. Whether it is mounted is the kernel's to say: a boot of the machine ends all. */
export const imageMountTables =
  'CREATE TABLE image_mounts (image_id TEXT PRIMARY KEY REFERENCES images ON DELETE CASCADE, count INTEGER NOT NULL) WITHOUT ROWID';

/** `names`: as people know them. */
export type ImageMount = { readonly id: Digest; readonly names: readonly string[]; readonly path: string };

type Known = Pick<Engine, 'database' | 'images' | 'paths'>;

/** As this process sees it. */
export function listMounts(engine: Known): readonly ImageMount[] {
  const rows = engine.database.prepare('SELECT image_id FROM image_mounts ORDER BY image_id').all();
  return rows.flatMap((row) => {
    const image = engine.images.get(parseDigest(String(row['image_id'])));
    const mount = image && describeMount(engine, image);
    return mount !== undefined && isMounted(mount.path) ? [mount] : [];
  });
}

/** Where it is mounted, if it is. */
export function describeMount({ paths }: Pick<Known, 'paths'>, { imageId, names }: ImageRecord): ImageMount {
  const familiar = names.map((name) => familiarReference(parseReference(name)));
  return { id: imageId, names: familiar, path: join(paths.store, 'mounts', hexOf(imageId)) };
}

/** The ids of the image that it stands on, and of those that it mounts. */
export function imagesOfContainer({ imageId, mounts }: Pick<ContainerSpec, 'imageId' | 'mounts'>): readonly string[] {
  return [imageId, ...mounts.flatMap((mount) => (mount.kind === 'image' ? [mount.imageId] : []))];
}

/** Images that containers stand on or mount, or that are mounted. */
export function usedImages(engine: Known & Pick<Engine, 'containers'>): ReadonlySet<string> {
  return new Set([...engine.containers.list().flatMap(({ spec }) => imagesOfContainer(spec)), ...listMounts(engine).map(({ id }) => id)]);
}

/** Throws `engine/image-mounted`. */
export function refuseMounted(engine: Known, imageId: Digest): void {
  const mount = listMounts(engine).find(({ id }) => id === imageId);
  if (mount === undefined) return;
  throw new JettisonError(
    'engine/image-mounted',
    `conflict: unable to delete ${imageId.slice(7, 19)} (cannot be forced) - image is mounted at ${mount.path}`,
    { hint: `Take the mount away first: jettison image unmount ${imageId.slice(7, 19)}` },
  );
}
