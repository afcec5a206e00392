/** `-o`, `--push` and `--load`: where what is built goes, in buildx's forms (docs.docker.com/build/exporters). */
import { resolve } from 'node:path';
import type { ImageForm, OutputDestination, OutputRequest } from '#engine/build-requests.ts';
import { parseReference } from '#formats/oci/reference.ts';
import { JettisonError, unreachable } from '#ground/base/errors.ts';
import { suggest } from '#ground/base/human.ts';
import type { Surroundings } from '../command.ts';
import { badValue } from '../option.ts';
import { archiveWriter } from '../output/archive-writer.ts';
import { allowFields, listed, readOutputFields, readSwitch, type OutputFields } from './output-fields.ts';

type Around = Pick<Surroundings, 'currentFolder' | 'streams'>;
type Stream = Extract<OutputDestination, { kind: 'stream' }>;

const types = ['local', 'tar', 'oci', 'docker', 'image', 'registry', 'cacheonly'] as const;
const fileFields = ['dest', 'src', 'platform-split'];
const imageFields = ['name', 'compression', 'compression-level', 'force-compression', 'oci-mediatypes', 'rewrite-timestamp'];
const storeFields = ['push', 'push-by-digest', 'name-canonical', 'dangling-name-prefix', 'unpack', 'store', 'registry.insecure'];
const mostLevels = { gzip: 9, estargz: 9, zstd: 19, tar: 0 } as const;

type Given = { readonly outputs: readonly string[]; readonly push: boolean; readonly load: boolean };

/** All outputs of one build. Throws `cli/bad-value`, `cli/not-built`, `cli/usage`, `oci/invalid-reference`. */
export function readOutputs({ outputs, push, load }: Given, around: Around, signal: AbortSignal): readonly OutputRequest[] {
  const read = outputs.map((text) => readOutput(text, around, signal));
  if (read.filter(toStream).length > 1) throw new JettisonError('cli/usage', 'Only one output can go to standard output');
  // As buildx: --push makes outputs of images that are there push; where there is none, it is one of its own.
  const isImage = read.some(({ kind }) => kind === 'image');
  const pushing = push ? read.map((one) => (one.kind === 'image' ? { ...one, isPushed: true } : one)) : read;
  return [
    ...pushing,
    ...(push && !isImage ? [readOutput('type=registry', around, signal)] : []),
    ...(load ? [readOutput('type=image', around, signal)] : []),
  ];
}

/** Does it write to standard output? */
export function toStream(output: OutputRequest): boolean {
  return 'destination' in output && output.destination.kind === 'stream';
}

/** One `-o`. Throws like `readOutputs`. */
export function readOutput(text: string, around: Around, signal: AbortSignal): OutputRequest {
  if (text === '') throw badValue('output', text, 'use "type=local,dest=FOLDER" or the name of a folder');
  // What buildx takes for a path: no field at all.
  if (text === '-') return readOutput('type=tar,dest=-', around, signal);
  if (!/^[^",]*=/u.test(text) && !text.includes(',')) return local(text, '/', undefined, around);
  const fields = readOutputFields(text);
  const word = fields.values.get('type') ?? '';
  if (word === '') throw badValue('output', text, `it has no "type"; there is ${listed(types)}`);
  const type = types.find((one) => one === word.toLowerCase());
  switch (type) {
    case 'local':
    case 'tar':
      return readFiles(type, fields, around, signal);
    case 'oci':
    case 'docker':
      return readArchive(type, fields, around, signal);
    case 'image':
    case 'registry':
      return readImage(type, fields);
    case 'cacheonly':
      allowFields(fields, [], false);
      return { kind: 'none' };
    case undefined:
      throw unknownType(word, text);
    default:
      return unreachable(type, 'type');
  }
}

function unknownType(word: string, given: string): JettisonError {
  const near = suggest(word, types);
  return badValue(
    'output',
    given,
    near === undefined ? `there is ${listed(types)}` : `there is no type "${word}"; did you mean "${near}"?`,
  );
}

function readFiles(type: 'local' | 'tar', fields: OutputFields, around: Around, signal: AbortSignal): OutputRequest {
  allowFields(fields, fileFields, false);
  const destination = fields.values.get('dest') ?? '';
  const source = fields.values.get('src') || '/';
  const isSplit = readSwitch(fields, 'platform-split');
  if (type === 'local') {
    if (destination === '') throw badValue('output', fields.given, '"dest=FOLDER" is missing');
    if (destination === '-') throw badValue('output', fields.given, 'a folder cannot go to standard output: use "type=tar,dest=-"');
    return local(destination, source, isSplit, around);
  }
  const to =
    destination === '' || destination === '-'
      ? stream(around, signal)
      : ({ kind: 'file', path: resolve(around.currentFolder, destination) } as const);
  return { kind: 'tar', destination: to, source, isSplit };
}

function local(path: string, source: string, isSplit: boolean | undefined, { currentFolder }: Around): OutputRequest {
  return { kind: 'local', destination: { kind: 'folder', path: resolve(currentFolder, path) }, source, isSplit };
}

function readArchive(type: 'oci' | 'docker', fields: OutputFields, around: Around, signal: AbortSignal): OutputRequest {
  const destination = fields.values.get('dest') ?? '';
  // As buildx: without a place it is what `--load` means.
  if (type === 'docker' && destination === '') {
    if (fields.values.has('tar')) throw badValue('output', fields.given, '"tar" needs "dest=..."');
    return readImage('image', fields);
  }
  allowFields(fields, ['dest', 'tar', ...imageFields], true);
  const isTar = readSwitch(fields, 'tar') ?? true;
  if (!isTar && (destination === '' || destination === '-'))
    throw badValue('output', fields.given, '"tar=false" writes a folder: "dest=FOLDER" is missing');
  const path = resolve(around.currentFolder, destination);
  const to = !isTar
    ? ({ kind: 'folder', path } as const)
    : destination === '' || destination === '-'
      ? stream(around, signal)
      : ({ kind: 'file', path } as const);
  return { kind: type, destination: to, ...readImageOutput(fields) };
}

function readImage(type: 'image' | 'registry', fields: OutputFields): OutputRequest {
  allowFields(fields, [...imageFields, ...storeFields], true);
  const word = (name: string): boolean | undefined => readSwitch(fields, name);
  if (word('unpack') === false) throw badValue('output', fields.given, 'images of the store are always unpacked');
  if (word('registry.insecure') === true) {
    throw new JettisonError('cli/not-built', '"registry.insecure" of "--output" is not built yet', {
      hint: 'Name the registry in the configuration file: {"registries": {"HOST:PORT": {"plainHttp": true}}}',
    });
  }
  const isPushed = word('push') ?? type === 'registry';
  const byDigest = word('push-by-digest') ?? false;
  if (byDigest && !isPushed) throw badValue('output', fields.given, '"push-by-digest" needs "push=true"');
  const image = readImageOutput(fields);
  const tagged = byDigest ? image.names?.find((name) => parseReference(name).tag !== undefined) : undefined;
  if (tagged !== undefined) throw badValue('output', fields.given, `"${tagged}" has a tag, and what is pushed by digest has none`);
  return {
    kind: 'image',
    ...image,
    isStored: (word('store') ?? true) && !byDigest,
    isPushed,
    byDigest,
    isCanonical: word('name-canonical') ?? false,
    danglingPrefix: fields.values.get('dangling-name-prefix') || undefined,
  };
}

function readImageOutput(fields: OutputFields): { readonly names: readonly string[] | undefined; readonly form: ImageForm } {
  const names = (fields.values.get('name') ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  for (const name of names)
    if (parseReference(name).digest !== undefined)
      throw badValue('output', fields.given, `"${name}" has a digest: what is built gets its own`);
  const compression = readCompression(fields);
  const isOci = readSwitch(fields, 'oci-mediatypes');
  const isForced = readSwitch(fields, 'force-compression') ?? false;
  if (isForced && compression === undefined) throw badValue('output', fields.given, '"force-compression" needs "compression=..."');
  return {
    names: names.length === 0 ? undefined : names,
    form: {
      compression,
      level: readLevel(fields, compression ?? 'gzip'),
      isForced,
      mediaTypes: isOci === undefined ? undefined : isOci ? 'oci' : 'docker',
      clampsTimes: readSwitch(fields, 'rewrite-timestamp') ?? false,
      annotations: fields.annotations,
    },
  };
}

function readCompression({ given, values }: OutputFields): ImageForm['compression'] {
  const word = values.get('compression');
  if (word === undefined) return undefined;
  if (word === 'uncompressed' || word === 'tar') return 'tar';
  if (word === 'gzip' || word === 'zstd' || word === 'estargz') return word;
  throw badValue('output', given, 'there is "gzip", "zstd", "estargz" and "uncompressed" compression');
}

/** BuildKit counts gzip from 0; what is beyond its levels of zstd (22) would need more memory than a layer is worth. */
function readLevel({ given, values }: OutputFields, format: keyof typeof mostLevels): number | undefined {
  const word = values.get('compression-level');
  if (word === undefined) return undefined;
  const most = mostLevels[format];
  if (/^[1-9]\d?$/u.test(word) && Number(word) <= most) return Number(word);
  throw badValue('output', given, most === 0 ? '"uncompressed" has no levels' : `${format} has the levels 1 to ${most}`);
}

function stream(around: Around, signal: AbortSignal): Stream {
  return { kind: 'stream', write: archiveWriter(around, signal, 'Name a file with "dest=FILE", or redirect standard output') };
}
