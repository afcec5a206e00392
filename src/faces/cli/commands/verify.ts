import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { buildOfImage } from '#engine/build-of-image.ts';
import type { BuildRequest } from '#engine/build-requests.ts';
import type { Engine } from '#engine/open.ts';
import { verifyBuild } from '#engine/verify.ts';
import type { Unsteady, Verified } from '#engine/verify-requests.ts';
import type { Digest } from '#ground/base/digest.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { ProgressEvent } from '#formats/progress/event.ts';
import type { LayerDifference } from '#execution/worker/contract.ts';
import { defineCommand, type Surroundings } from '../command.ts';
import { engineFor } from '../engine.ts';
import { flag, type Option, type ValuesOf } from '../option.ts';
import { goJson } from '#ground/base/go-json.ts';
import { harmless } from '../output/text.ts';
import { buildOptions, notBuiltOptions, requestOf, type BuildOptions } from './build-request.ts';
import { requestOfWords } from './build-words.ts';
import { readRetries, retryOptions } from './retry-options.ts';

/** Those of `build` that say what is built: nothing of it is kept, and no cache is asked. */
const {
  annotations: _annotations,
  attest: _attest,
  cacheFrom: _cacheFrom,
  cacheMax: _cacheMax,
  cacheTo: _cacheTo,
  call: _call,
  check: _check,
  format: _format,
  idFile: _idFile,
  load: _load,
  metadataFile: _metadataFile,
  noCache: _noCache,
  noCacheStages: _noCacheStages,
  outputs: _outputs,
  progress: _progress,
  provenance: _provenance,
  push: _push,
  sbom: _sbom,
  tags: _tags,
  quiet: _quiet,
  ...shared
} = buildOptions;
const options = { ...shared, json: flag('json', { help: 'Print JSON' }) };

export const verifyCommand = defineCommand({
  name: 'verify',
  summary: 'Build twice under changed conditions, and name the steps that make other files each time',
  usage: '[OPTIONS] PATH | ADDRESS | - | IMAGE',
  options,
  notBuilt: notBuiltOptions,
  arguments: [1, 1],
  async run(given, around, signal) {
    const { isolation, json } = given.options;
    const { stdout, stderr } = around.streams;
    const [what = ''] = given.arguments;
    await using engine = await engineFor(around, {
      network: readRetries(given.options),
      ...(isolation === undefined ? {} : { isolation }),
    });
    const isImage = what !== '-' && !existsSync(resolve(around.currentFolder, what)) && engine.images.find(what) !== undefined;
    const { request, image, plainId, folder } = isImage
      ? await requestOfImage(engine, { name: what, given: given.options }, around, signal)
      : {
          request: await requestOf(asBuild(given.options), what, around, signal),
          image: undefined,
          plainId: undefined,
          folder: around.currentFolder,
        };
    const report = (event: ProgressEvent): void => {
      if (event.kind === 'note') stderr.write(`${harmless(event.text, false)}\n`);
      else if (event.kind === 'warning') stderr.write(`WARNING: ${harmless(event.message, false)}\n`);
    };
    const verified = await verifyBuild({ ...engine, currentFolder: folder }, request, report, signal);
    const rebuilt = image && { ...image, isSame: verified.images.some(({ first }) => first === image.id || first === plainId) };
    if (json) stdout.write(`${goJson({ ...documentOf(verified), ...(rebuilt === undefined ? {} : { image: rebuilt }) })}\n`);
    else stdout.write(`${describe(verified)}${rebuilt === undefined || !verified.isSame ? '' : rebuiltText(rebuilt)}`);
    return verified.isSame && rebuilt?.isSame !== false ? 0 : 1;
  },
});

type NamedImage = { readonly name: string; readonly id: Digest };
type OfImage = { readonly name: string; readonly given: ValuesOf<typeof options> };

/** As it was built the last time: of the options only those count that say how, not what. Throws `cli/usage` for others. */
async function requestOfImage(
  engine: Engine,
  { name, given }: OfImage,
  around: Surroundings,
  signal: AbortSignal,
): Promise<{ readonly request: BuildRequest; readonly image: NamedImage; readonly plainId: Digest; readonly folder: string }> {
  const how: ReadonlySet<Option<unknown>> = new Set<Option<unknown>>([
    options.json,
    options.jobs,
    options.isolation,
    ...Object.values(retryOptions),
  ]);
  const values: Readonly<Record<string, unknown>> = given;
  const other = Object.entries(options).find(([key, option]) => !how.has(option) && !isDeepStrictEqual(values[key], option.initial));
  if (other !== undefined)
    throw new JettisonError('cli/usage', `"--${other[1].long}" does not go with an image, which is built as it was the last time`, {
      hint: 'Name the folder of its context instead',
    });
  const { image, plainId, asked } = await buildOfImage(engine, name);
  const typed = await requestOfWords(asked.words, asked.folder, around, signal);
  return { request: { ...typed, jobs: given.jobs ?? typed.jobs }, image: { name, id: image.imageId }, plainId, folder: asked.folder };
}

function rebuiltText({ name, id, isSame }: NamedImage & { readonly isSame: boolean }): string {
  if (isSame) return `It is the image ${name}.\n`;
  return `NOT ${name}, which is ${id}: what it is made of has changed since it was built.\n`;
}

function asBuild(given: ValuesOf<typeof options>): BuildOptions {
  return {
    ...given,
    annotations: [],
    attest: [],
    cacheFrom: [],
    cacheMax: undefined,
    cacheTo: [],
    call: buildOptions.call.initial,
    check: undefined,
    format: buildOptions.format.initial,
    idFile: undefined,
    load: false,
    metadataFile: undefined,
    noCache: false,
    noCacheStages: [],
    outputs: [],
    progress: undefined,
    provenance: undefined,
    push: false,
    sbom: undefined,
    tags: [],
    quiet: false,
  };
}

function documentOf({ images, unsteady, changed, unchanged, ...verified }: Verified) {
  return {
    ...verified,
    images: images.map((image) => ({ ...image })),
    unsteady: unsteady.map((step) => ({
      ...step,
      differences: step.differences.map(({ offset, sizes, isPacked, cause, ...difference }) => ({
        ...difference,
        offset: offset ?? null,
        sizes: sizes === undefined ? null : [...sizes],
        isPacked: isPacked ?? false,
        cause: { ...cause },
      })),
    })),
    changed: [...changed],
    unchanged: [...unchanged],
  };
}

function describe(verified: Verified): string {
  const { unsteady, isSame } = verified;
  const reaching = unsteady.filter((step) => step.reachesImage);
  const others = unsteady.filter((step) => !step.reachesImage);
  return [
    ...reaching.flatMap((step) => describeStep(step, verified.file)),
    ...(others.length === 0 ? [] : ['These differ as well, but what is built on them leaves it out:', '']),
    ...others.flatMap((step) => describeStep(step, verified.file)),
    `Changed in the second run: ${verified.changed.join('; ')}.`,
    `Not changed: ${verified.unchanged.join('; ')}.`,
    '',
    isSame ? sameText(verified) : `NOT THE SAME: ${countText(reaching.length)} other files of the same ones.`,
    '',
  ].join('\n');
}

function countText(steps: number): string {
  return steps === 1 ? '1 step makes' : `${steps} steps make`;
}

function sameText({ images, steps }: Verified): string {
  const ids = images.map(({ platform, first }) => (images.length === 1 ? first : `${platform} ${first}`));
  return `THE SAME: ${steps} steps, run twice, make the image ${ids.join(', ')}.`;
}

const mostShown = 5;

function describeStep(step: Unsteady, file: string): readonly string[] {
  const { text, stage, step: number, steps, line, differences, total } = step;
  const place = [stage ?? '', number === null ? '' : `${number}/${steps ?? number}`].filter((part) => part !== '').join(' ');
  const shown = differences.slice(0, mostShown);
  return [
    plain(`${file}${line === null ? '' : `:${line}`}  ${place === '' ? '' : `[${place}] `}${text.replaceAll(/\s*\n\s*/gu, ' ')}`),
    ...shown.flatMap((difference, index) => describeDifference(difference, shown[index - 1])),
    ...(total > shown.length ? [`    and ${total - shown.length} more`] : []),
    '',
  ];
}

/** The same cause is told once for the files that follow each other. */
function describeDifference(difference: LayerDifference, before: LayerDifference | undefined): readonly string[] {
  const { path, first, second, cause } = difference;
  const isTold = before !== undefined && before.cause.kind === cause.kind && before.cause.what === cause.what;
  return [
    plain(`    ${path}  ${whatText(difference)}`),
    ...(difference.what.startsWith('only') ? [] : [plain(`        first   ${first}`), plain(`        second  ${second}`)]),
    ...(isTold
      ? []
      : [`        likely  ${cause.kind === 'unknown' ? '' : `${kinds[cause.kind]}: `}${cause.what}`, `        try     ${cause.advice}`]),
  ];
}

const kinds = { time: 'time stamp', order: 'order', random: 'random', path: 'name', process: 'process' } as const;

function whatText({ what, offset, sizes, isPacked }: LayerDifference): string {
  switch (what) {
    case 'content': {
      const length = sizes === undefined ? '' : sizes[0] === sizes[1] ? ` of ${sizes[0]}` : ` (${sizes[0]} and ${sizes[1]} bytes)`;
      return `differs at byte ${offset ?? 0}${length}${isPacked === true ? ', unpacked' : ''}`;
    }
    case 'only-first':
      return 'only in the first run';
    case 'only-second':
      return 'only in the second run';
    case 'time':
      return 'has another modification time';
    case 'kind':
    case 'mode':
    case 'owner':
    case 'target':
    case 'attributes':
      return `has another ${what}`;
    default:
      return what satisfies never;
  }
}

function plain(line: string): string {
  return harmless(line, false);
}
