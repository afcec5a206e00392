/** The images that a container has mounted (`--mount type=image`), as trees on disk. */
import type { Report } from '#formats/progress/event.ts';
import { parseDigest } from '#ground/base/digest.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { ContainerSpec } from '#execution/container/spec.ts';
import type { SnapshotId } from '#execution/worker/contract.ts';
import { unpackImage } from './fetch-image.ts';
import type { Engine } from './open.ts';

/** By image id; undefined: an image without layers. */
export type ImageTrees = ReadonlyMap<string, SnapshotId | undefined>;

/** Unpacks those that are not. Throws `engine/image-gone`, and what unpacking throws. */
export async function unpackMounted(
  engine: Engine,
  { mounts }: Pick<ContainerSpec, 'mounts'>,
  report: Report,
  signal: AbortSignal,
): Promise<ImageTrees> {
  const trees = new Map<string, SnapshotId | undefined>();
  for (const mount of mounts) {
    if (mount.kind !== 'image' || trees.has(mount.imageId)) continue;
    const record = engine.images.get(parseDigest(mount.imageId));
    if (record === undefined)
      throw new JettisonError(
        'engine/image-gone',
        `The image that is mounted at ${mount.target} is gone: ${mount.source} (${mount.imageId})`,
        {
          fault: 'environment',
          hint: 'Build, pull or load it again',
        },
      );
    trees.set(mount.imageId, await unpackImage(engine, record, report, signal));
  }
  return trees;
}
