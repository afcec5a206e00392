/** Lines that a build says of one of several images. */
import type { BuildOutcome } from '#engine/build-requests.ts';
import { whichImage } from '#engine/which-image.ts';

/** What stands before the lines about an image: `[app] `, `[linux/arm64] `, `[app linux/arm64] `; '' where nothing has to be told apart. */
type Prefix = (about: { readonly imageId: string; readonly platform: string }) => string;

/** `count`: of how many images something is said. Layers that several platforms share are spoken of once, for all of them. */
export function imagePrefix({ image, targets }: Pick<BuildOutcome, 'image' | 'targets'>, count: number): Prefix {
  const made = (targets ?? [{ target: undefined, image }]).flatMap(({ target, image: one }) =>
    (one?.all ?? []).map(({ platform, id }) => ({ target, platform, id })),
  );
  const byPlatform = count > 1 && new Set(made.map(({ platform }) => platform)).size > 1;
  return ({ imageId, platform }) => {
    const target = made.find(({ id }) => id === imageId)?.target;
    return whichImage({ target, platform: byPlatform ? platform : undefined });
  };
}
