/** The annotations of what one build makes. */
import { printPlatform, type Platform } from '#formats/oci/platform.ts';
import { nativeOrAsked } from './platform.ts';
import type { AnnotationRequest, BuildRequest } from './build-requests.ts';

type Values = Readonly<Record<string, string>>;

/** Those of the image of one platform. Throws `oci/...` for a platform that is none. */
export function annotationsFor(request: BuildRequest, built: Platform): Readonly<Record<'manifest' | 'manifest-descriptor', Values>> {
  const name = printPlatform(built);
  const asked = request.annotations.filter(({ platform }) => platform === undefined || printPlatform(nativeOrAsked(platform)) === name);
  return { manifest: valuesAt(asked, 'manifest'), 'manifest-descriptor': valuesAt(asked, 'manifest-descriptor') };
}

/** Those of the index of several. */
export function indexAnnotations({ annotations }: BuildRequest): Readonly<Record<'index' | 'index-descriptor', Values>> {
  return { index: valuesAt(annotations, 'index'), 'index-descriptor': valuesAt(annotations, 'index-descriptor') };
}

function valuesAt(asked: readonly AnnotationRequest[], place: AnnotationRequest['place']): Values {
  return Object.fromEntries(asked.filter((one) => one.place === place).map(({ key, value }) => [key, value]));
}
