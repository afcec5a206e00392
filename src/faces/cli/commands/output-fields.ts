/** The fields of one `-o`: which there are for each type, and their values. */
import type { AnnotationRequest } from '#engine/build-requests.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { suggest } from '#ground/base/human.ts';
import { parseBoolean } from '#ground/base/boolean-word.ts';
import { badValue } from '../option.ts';
import { splitFields } from '../option-values.ts';

export type OutputFields = {
  readonly given: string;
  /** Names in lower case. */
  readonly values: ReadonlyMap<string, string>;
  readonly annotations: readonly AnnotationRequest[];
};

const annotationField = /^annotation(?:-(manifest|index|manifest-descriptor|index-descriptor))?(?:\[([A-Za-z0-9_./-]+)\])?\.(\S+)$/iu;

/** What BuildKit has and this program has not, with what to do instead. */
const notBuiltFields: ReadonlyMap<string, string> = new Map([
  ['attestation-inline', 'They are in every index; "--provenance inline-only=true" keeps them from files'],
  ['attestation-prefix', 'Name the file: "--provenance filename=NAME"'],
  ['buildinfo', 'BuildKit has given it up'],
  ['containerimage', 'Leave it out'],
  ['mode', 'Files of the result are added to the folder; remove the folder before, if nothing else is to be in it'],
  ['oci-artifact', 'Attestations have the form of images, which every registry takes'],
  ['prefer-nondist-layers', 'Layers are pushed as they are'],
  ['nydus', 'Use "gzip" or "zstd"'],
  ['soci', 'Use "gzip" or "zstd"'],
]);

/** Throws `cli/bad-value`. */
export function readOutputFields(given: string): OutputFields {
  const values = new Map<string, string>();
  const annotations: AnnotationRequest[] = [];
  for (const field of splitFields(given)) {
    const equals = field.indexOf('=');
    if (equals < 1) throw badValue('output', given, `"${field}" is no "name=value"`);
    const [name, value] = [field.slice(0, equals).trim(), field.slice(equals + 1)];
    const [whole, place, platform, key] = annotationField.exec(name) ?? [];
    if (whole === undefined || key === undefined) values.set(name.toLowerCase(), value);
    else annotations.push({ place: placeOf(place), platform, key, value });
  }
  return { given, values, annotations };
}

function placeOf(word = 'manifest'): AnnotationRequest['place'] {
  const places = ['manifest', 'manifest-descriptor', 'index', 'index-descriptor'] as const;
  return places.find((place) => place === word.toLowerCase()) ?? 'manifest';
}

/** Throws `cli/not-built` for fields that mean something elsewhere, `cli/bad-value` for all others, with the nearest of `names`. */
export function allowFields({ given, values, annotations }: OutputFields, names: readonly string[], mayAnnotate: boolean): void {
  for (const name of values.keys()) {
    if (name === 'type' || names.includes(name)) continue;
    const hint = notBuiltFields.get(name);
    if (hint !== undefined) throw new JettisonError('cli/not-built', `"${name}" of "--output" is not built yet`, { hint });
    const near = suggest(name, names);
    throw badValue(
      'output',
      given,
      `"${name}" means nothing here; ${near === undefined ? `there is ${listed(names)}` : `did you mean "${near}"?`}`,
    );
  }
  if (!mayAnnotate && annotations.length > 0) throw badValue('output', given, 'files have no annotations');
}

export function listed(names: readonly string[]): string {
  return names.map((name) => `"${name}"`).join(', ');
}

/** An empty value counts as true, as BuildKit has it. Throws `cli/bad-value`. */
export function readSwitch({ given, values }: OutputFields, name: string): boolean | undefined {
  const word = values.get(name);
  if (word === undefined) return undefined;
  const value = word === '' ? true : parseBoolean(word);
  if (value === undefined) throw badValue('output', given, `${name} is "true" or "false"`);
  return value;
}
