/** `jettison verify IMAGE`: how an image was built, as far as that was written down. */
import { existsSync } from 'node:fs';
import { decodeImageConfig } from '#formats/oci/image-config.ts';
import { digestOf, type Digest } from '#ground/base/digest.ts';
import { withoutInline } from '#execution/cache/inline-members.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { ImageRecord } from '#stores/image/store.ts';
import type { Asked } from './asked.ts';
import { findImage } from './images.ts';
import type { Engine } from './open.ts';

export type BuildOfImage = {
  readonly image: ImageRecord;
  /** The id that it has without a cache in its config (`--cache-to type=inline`). */
  readonly plainId: Digest;
  readonly asked: Asked;
};

/** The words of the newest build that gave the image. Throws `image/not-found`, and `engine/build-not-known` where nothing says how it was built, or the folder of that is gone. */
export async function buildOfImage(engine: Engine, name: string): Promise<BuildOfImage> {
  const image = findImage(engine, name);
  const builds = (await engine.builds()).list().filter(({ imageId }) => imageId === image.imageId);
  if (builds.length === 0)
    throw notKnown(name, 'no build that is listed here gave it', 'It came from elsewhere, or its build was removed ("jettison builds")');
  const asked = builds.flatMap((build) => build.asked ?? [])[0];
  if (asked === undefined)
    throw notKnown(name, 'its build is not written down as it was typed', 'A part of it came on standard input, or holds a secret');
  if (!existsSync(asked.folder)) throw notKnown(name, `the folder "${asked.folder}", where it was built, is gone`, 'Bring it back');
  const plain = withoutInline(decodeImageConfig(image.config, image.imageId));
  return { image, plainId: digestOf(new TextEncoder().encode(JSON.stringify(plain))), asked };
}

function notKnown(name: string, why: string, hint: string): JettisonError {
  return new JettisonError('engine/build-not-known', `Image ${name} cannot be built again: ${why}`, {
    hint: `${hint}; with its context at hand, use "jettison verify PATH"`,
  });
}
