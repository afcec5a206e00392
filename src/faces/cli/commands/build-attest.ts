/** `--attest`, `--provenance` and `--sbom`, in buildx's forms (docs.docker.com/build/metadata/attestations). */
import type { AttestationsRequest, ProvenanceRequest } from '#engine/build-requests.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { parseBoolean } from '#ground/base/boolean-word.ts';
import { badValue } from '../option.ts';
import { splitFields } from '../option-values.ts';

type Given = { readonly attest: readonly string[]; readonly provenance: string | undefined; readonly sbom: string | undefined };

type Fields = ReadonlyMap<string, string>;

const provenanceFields = ['mode', 'version', 'builder-id', 'reproducible', 'inline-only', 'filename'];
const types = ['provenance', 'sbom'] as const;
const versions = ['v1', 'v0.2'] as const satisfies readonly ProvenanceRequest['version'][];

/** undefined for nothing; the short forms stand over `--attest`, as in buildx. Throws `cli/bad-value`, `cli/not-built`. */
export function readAttestations({ attest, provenance, sbom }: Given): AttestationsRequest | undefined {
  const asked = new Map<(typeof types)[number], Fields>();
  for (const given of attest.filter((one) => one !== '')) {
    const fields = readFields('attest', given);
    const type = types.find((one) => one === fields.get('type'));
    if (type === undefined) throw badValue('attest', given, 'its type is "provenance" or "sbom"');
    if (asked.has(type)) throw badValue('attest', given, `there is one of type "${type}" already`);
    asked.set(type, fields);
  }
  for (const [type, given] of [
    ['provenance', provenance],
    ['sbom', sbom],
  ] as const) {
    if (given !== undefined && given !== '') asked.set(type, readShort(type, given));
  }
  const wanted = {
    provenance: readProvenance(asked.get('provenance')),
    sbom: readSbom(asked.get('sbom')),
  };
  return wanted.provenance === undefined && !wanted.sbom ? undefined : wanted;
}

/** `true`, `false`, or fields. */
function readShort(type: (typeof types)[number], given: string): Fields {
  const isWanted = parseBoolean(given);
  return isWanted === undefined ? readFields(type, given) : new Map([['disabled', String(!isWanted)]]);
}

function readFields(option: string, given: string): Fields {
  return new Map(
    splitFields(given).map((field) => {
      const equals = field.indexOf('=');
      if (equals < 1) throw badValue(option, given, `"${field}" is no "name=value"`);
      return [field.slice(0, equals).trim().toLowerCase(), field.slice(equals + 1)];
    }),
  );
}

function readProvenance(fields: Fields | undefined): ProvenanceRequest | undefined {
  if (fields === undefined || readSwitch('provenance', fields, 'disabled')) return undefined;
  for (const name of fields.keys()) allow('provenance', name);
  const mode = fields.get('mode') ?? 'max';
  if (mode !== 'min' && mode !== 'max' && mode !== 'full') throw badValue('provenance', `mode=${mode}`, 'use "min" or "max"');
  const word = fields.get('version') ?? 'v1';
  const version = versions.find((one) => one === word);
  if (version === undefined) throw badValue('provenance', `version=${word}`, `use ${versions.map((one) => `"${one}"`).join(' or ')}`);
  const fileName = fields.get('filename') ?? 'provenance.json';
  if (fileName === '' || fileName === '.' || fileName === '..' || /[/\0]/u.test(fileName))
    throw badValue('provenance', `filename=${fileName}`, 'it is the name of a file, without folders');
  return {
    mode: mode === 'min' ? 'min' : 'max',
    version,
    builderId: fields.get('builder-id') ?? '',
    isReproducible: readSwitch('provenance', fields, 'reproducible'),
    isInlineOnly: readSwitch('provenance', fields, 'inline-only'),
    fileName,
  };
}

function readSbom(fields: Fields | undefined): boolean {
  if (fields === undefined || readSwitch('sbom', fields, 'disabled')) return false;
  for (const [name, value] of fields) {
    if (name === 'type' || name === 'disabled') continue;
    throw new JettisonError(
      'cli/not-built',
      `"${name}=${value}" of "--sbom" is not built yet: packages are looked for by this program itself`,
      {
        hint: 'Leave it out: "--sbom true"',
      },
    );
  }
  return true;
}

function allow(option: string, name: string): void {
  if (name === 'type' || name === 'disabled' || provenanceFields.includes(name)) return;
  if (name === 'capture-usage')
    throw new JettisonError('cli/not-built', '"capture-usage" of "--provenance" is not built yet', {
      hint: 'Leave it out; "jettison builds inspect" tells how long steps took',
    });
  throw badValue(option, name, `there is ${provenanceFields.map((one) => `"${one}"`).join(', ')}`);
}

function readSwitch(option: string, fields: Fields, name: string): boolean {
  const word = fields.get(name);
  if (word === undefined) return false;
  const value = parseBoolean(word);
  if (value === undefined) throw badValue(option, `${name}=${word}`, 'use "true" or "false"');
  return value;
}
