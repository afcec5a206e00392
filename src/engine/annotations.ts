/** The annotations of what one build makes. */
import { printPlatform, type Platform } from '#formats/oci/platform.ts';
import { nativeOrAsked } from './platform.ts';
import type { AnnotationRequest, BuildRequest } from './build-requests.ts';

type Values = Readonly<Record<string, string>>;

type Asked = readonly AnnotationRequest[];

/** Those of the image of one platform, with those of one output over them. Throws `oci/...` for a platform that is none. */
export function annotationsFor(
  request: BuildRequest,
  built: Platform,
  ofOutput: Asked = [],
): Readonly<Record<'manifest' | 'manifest-descriptor', Values>> {
  const name = printPlatform(built);
  const asked = [...request.annotations, ...ofOutput].filter(
    ({ platform }) => platform === undefined || printPlatform(nativeOrAsked(platform)) === name,
  );
  return { manifest: valuesAt(asked, 'manifest'), 'manifest-descriptor': valuesAt(asked, 'manifest-descriptor') };
}

/** Those of the index of several, likewise. */
export function indexAnnotations(
  { annotations }: BuildRequest,
  ofOutput: Asked = [],
): Readonly<Record<'index' | 'index-descriptor', Values>> {
  const all = [...annotations, ...ofOutput];
  return { index: valuesAt(all, 'index'), 'index-descriptor': valuesAt(all, 'index-descriptor') };
}

function valuesAt(asked: readonly AnnotationRequest[], place: AnnotationRequest['place']): Values {
  return Object.fromEntries(asked.filter((one) => one.place === place).map(({ key, value }) => [key, value]));
}
