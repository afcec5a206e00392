/** Members of an image config that hold a cache: apart from what is in them, since every build looks for them in its base image. */
import type { ImageConfig } from '#formats/oci/image-config.ts';

export const inlineMembers = { own: 'jettison.cache.v0', buildKit: 'moby.buildkit.cache.v0' } as const;

/** The config without the cache of its base image, ours or BuildKit's: it says nothing of the image built on it. */
export function withoutInline(config: ImageConfig): ImageConfig {
  const kept = Object.entries(config).filter(([name]) => name !== inlineMembers.own && name !== inlineMembers.buildKit);
  return Object.fromEntries(kept) as ImageConfig; // oxlint-disable-line typescript/no-unsafe-type-assertion -- no member of the type is left out
}
