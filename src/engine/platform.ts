/** The platform to build for or to run: this machine's unless another one is asked for. */
import { nativePlatform, normalPlatform, parsePlatform, platformRank, printPlatform, type Platform } from '#formats/oci/platform.ts';
import type { BuildRequest } from './build-requests.ts';

/** Throws `oci/invalid-platform`. */
export function nativeOrAsked(asked: string | undefined): Platform {
  const native = nativePlatform(process.arch);
  return asked === undefined ? native : parsePlatform(asked, native);
}

/** The platforms to build for, each once: this machine's when none is asked for, or `local` is. Throws `oci/invalid-platform`. */
export function platformsOf({ platforms }: Pick<BuildRequest, 'platforms'>): readonly [Platform, ...Platform[]] {
  const [first, ...rest] = platforms.map((word) => nativeOrAsked(word === 'local' ? undefined : word));
  if (first === undefined) return [nativeOrAsked(undefined)];
  const known = new Set([printPlatform(first)]);
  const others = rest.filter((platform) => {
    const name = printPlatform(platform);
    return !known.has(name) && known.add(name);
  });
  return [first, ...others];
}

/** The platform of an image whose programs are for another one than `wanted`; undefined where they are not. */
export function otherPlatform(image: Platform, wanted: Platform): Platform | undefined {
  return platformRank(image, wanted) === undefined ? normalPlatform(image) : undefined;
}
