/** The annotations of the image that one build makes. */
import { printPlatform } from '#formats/oci/platform.ts';
import { nativeOrAsked } from './platform.ts';
import type { AnnotationRequest, BuildRequest } from './build-requests.ts';

export type Annotations = Readonly<Record<AnnotationRequest['place'], Readonly<Record<string, string>>>>;

/** Those for the platform of the build. Throws `oci/...` for a platform that is none. */
export function readAnnotations(request: BuildRequest): Annotations {
  const built = printPlatform(nativeOrAsked(request.platform));
  const asked = request.annotations.filter(({ platform }) => platform === undefined || printPlatform(nativeOrAsked(platform)) === built);
  const at = (place: AnnotationRequest['place']): Readonly<Record<string, string>> =>
    Object.fromEntries(asked.filter((one) => one.place === place).map(({ key, value }) => [key, value]));
  return { manifest: at('manifest'), 'manifest-descriptor': at('manifest-descriptor') };
}
