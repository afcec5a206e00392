import { verifyBuild } from '#engine/verify.ts';
import type { Unsteady, Verified } from '#engine/verify-requests.ts';
import type { ProgressEvent } from '#formats/progress/event.ts';
import type { LayerDifference } from '#execution/worker/contract.ts';
import { defineCommand } from '../command.ts';
import { engineFor } from '../engine.ts';
import { flag, type ValuesOf } from '../option.ts';
import { goJson } from '../output/go-json.ts';
import { harmless } from '../output/text.ts';
import { buildOptions, notBuiltOptions, requestOf, type BuildOptions } from './build-request.ts';
import { readRetries } from './retry-options.ts';

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
  usage: '[OPTIONS] PATH | ADDRESS | -',
  options,
  notBuilt: notBuiltOptions,
  arguments: [1, 1],
  async run(given, around, signal) {
    const { isolation, json } = given.options;
    const { stdout, stderr } = around.streams;
    const request = await requestOf(asBuild(given.options), given.arguments[0] ?? '', around, signal);
    await using engine = await engineFor(around, {
      network: readRetries(given.options),
      ...(isolation === undefined ? {} : { isolation }),
    });
    const report = (event: ProgressEvent): void => {
      if (event.kind === 'note') stderr.write(`${harmless(event.text, false)}\n`);
      else if (event.kind === 'warning') stderr.write(`WARNING: ${harmless(event.message, false)}\n`);
    };
    const verified = await verifyBuild(engine, request, report, signal);
    stdout.write(json ? `${goJson(documentOf(verified))}\n` : describe(verified));
    return verified.isSame ? 0 : 1;
  },
});

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
