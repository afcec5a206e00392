import type { AnnotationRequest } from '#engine/build-requests.ts';
import { badValue } from '../option.ts';

const places = ['manifest', 'manifest-descriptor', 'index', 'index-descriptor'] as const;

/**
 * One `--annotation`, as buildx reads it: `KEY=VALUE` for the manifest, or places before it: `manifest,manifest-descriptor[linux/amd64]:KEY=VALUE`. Throws
 * `cli/bad-value`, also for the places in an index where there is none (`hasIndex`), which is so for an image of a single platform.
 */
export function readAnnotation(given: string, hasIndex: boolean): readonly AnnotationRequest[] {
  const equals = given.indexOf('=');
  if (equals < 1) throw badValue('annotation', given, 'use "KEY=VALUE"');
  const [left, value] = [given.slice(0, equals), given.slice(equals + 1)];
  const colon = left.indexOf(':');
  const key = left.slice(colon + 1);
  if (key === '') throw badValue('annotation', given, 'it has no key');
  if (colon < 0) return [{ place: 'manifest', platform: undefined, key, value }];
  return left
    .slice(0, colon)
    .split(',')
    .map((written) => ({ ...readPlace(written, { given, hasIndex }), key, value }));
}

function readPlace(
  written: string,
  { given, hasIndex }: { readonly given: string; readonly hasIndex: boolean },
): Pick<AnnotationRequest, 'place' | 'platform'> {
  const [, name, platform] = /^([a-z-]+)(?:\[([A-Za-z0-9_/-]+)\])?$/u.exec(written) ?? [];
  if (!hasIndex && (name === 'index' || name === 'index-descriptor'))
    throw badValue('annotation', given, 'index annotations are not supported for an image of a single platform: it has no index');
  const place = places.find((one) => one === name);
  if (place === undefined) throw badValue('annotation', given, `"${written}" is none of ${places.join(', ')}`);
  return { place, platform };
}
