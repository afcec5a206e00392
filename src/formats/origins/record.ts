/**
 * How an image came about, as it is kept beside the image: its layers, and the steps of the build that made them, with all that is needed to say later which line of
 * the Dockerfile a file came from. Lists of builds and cache records are thrown away sooner than images, so nothing in it names one of those.
 */
import * as v from 'valibot';
import { checkShape, parseJson } from '#ground/base/decode.ts';
import { isDigest } from '#ground/base/digest.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { originVersion } from './version.ts';

/** Bytes; a build of 2000 steps has 1 MB. */
const limit = 32 * 1024 * 1024;
const longText = 64 * 1024;
const most = 100_000;

const text = v.pipe(v.string(), v.maxLength(longText));
const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const digest = v.pipe(v.string(), v.check(isDigest, 'no digest'));
const mode = v.nullable(v.union([v.number(), text]));
const owner = v.nullable(text);

const copy = v.object({
  kind: v.literal('copy'),
  input: v.nullable(count),
  sources: v.array(text),
  wildcards: v.boolean(),
  destination: text,
  destinationIsFolder: v.boolean(),
  owner,
  mode,
  unpack: v.boolean(),
  exclude: v.array(text),
  parents: v.boolean(),
  /** Libraries that its programs need come along. */
  libs: v.exactOptional(v.literal(true)),
});
const makeFolder = v.object({ kind: v.literal('make-folder'), path: text, mode: v.number(), owner });
const writeFile = v.object({ kind: v.literal('write-file'), path: text, name: text, destinationIsFolder: v.boolean(), mode, owner });

const op = v.variant('kind', [
  v.object({
    kind: v.literal('image'),
    /** As it was asked for: `docker.io/library/debian:12`. */
    name: text,
    /** What the name stands for in its registry; of an image that no registry is known to have, its id. */
    digest,
    /** Id of the image in a store. */
    imageId: v.nullable(digest),
    platform: text,
    layers: count,
  }),
  /** A folder of the client: `context`, or the name of a named context. `address`: where that came from, when it was no folder of the client. */
  v.object({ kind: v.literal('context'), name: text, address: v.nullable(text) }),
  v.object({ kind: v.literal('url'), url: text, name: text, checksum: v.nullable(digest) }),
  v.object({ kind: v.literal('git'), remote: text, ref: text, subfolder: text, commit: v.nullable(text) }),
  v.object({ kind: v.literal('run'), root: v.nullable(count) }),
  v.object({ kind: v.literal('file'), base: v.nullable(count), actions: v.array(v.variant('kind', [copy, makeFolder, writeFile])) }),
  v.object({ kind: v.literal('merge') }),
  /** What a container wrote over its image, which is the only input: `commit`. */
  v.object({ kind: v.literal('container'), name: text }),
]);

const step = v.object({
  /** As it is shown: `COPY --from=build /app /app`. */
  text,
  /** Name of the stage, `stage-1` for one without; null for what belongs to none. */
  stage: v.nullable(text),
  /** First and last line in the Dockerfile, from 1. */
  line: v.nullable(count),
  lastLine: v.nullable(count),
  op,
  /** Places of the steps whose files it reads, all before its own. */
  inputs: v.array(count),
  /** Where its files lie in the store that built it, with all that they stand on; null where they were never there. */
  snapshot: v.nullable(text),
});

const layer = v.object({
  diffId: digest,
  /** Bytes of its files. */
  size: count,
  snapshot: v.nullable(text),
  /** Place of the step that made it. */
  step: count,
});

export const originRecord = v.object({
  version: v.literal(originVersion),
  platform: text,
  /** Name of the Dockerfile; '' where there was none. */
  dockerfile: text,
  /** Those above the base, bottom first; `stepChain` says what the base is. */
  layers: v.pipe(v.array(layer), v.maxLength(most)),
  /** Inputs before what reads them; the last one has all the image's files. */
  steps: v.pipe(v.array(step), v.maxLength(most)),
});

export type OriginRecord = v.InferOutput<typeof originRecord>;
export type OriginStep = v.InferOutput<typeof step>;
export type OriginOp = v.InferOutput<typeof op>;
export type OriginAction = v.InferOutput<typeof copy> | v.InferOutput<typeof makeFolder> | v.InferOutput<typeof writeFile>;

const document = { what: 'the origins of an image', code: 'origins/bad-record', limit } as const;

/** Throws `origins/bad-record`. */
export function decodeOrigins(bytes: Uint8Array): OriginRecord {
  const found = checkShape(parseJson(bytes, document), originRecord, document);
  const { steps, layers } = found;
  const isWhole =
    steps.every(
      ({ op: own, inputs }, at) => inputs.every((input) => input < at) && inputsOf(own).every((place) => place < inputs.length),
    ) && layers.every((one) => one.step < steps.length);
  if (isWhole) return found;
  throw new JettisonError(document.code, `Cannot read ${document.what}: a step is named that is not there`, { fault: 'environment' });
}

export function encodeOrigins(origins: OriginRecord): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(origins));
}

/** Which of a step's inputs its op names. */
function inputsOf(own: OriginOp): readonly number[] {
  const named = own.kind === 'run' ? [own.root] : own.kind === 'file' ? [own.base, ...own.actions.map(inputOf)] : [];
  return named.filter((place) => place !== null);
}

function inputOf(action: OriginAction): number | null {
  return action.kind === 'copy' ? action.input : null;
}
