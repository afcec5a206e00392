import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { build } from '#engine/build.ts';
import type { EngineOptions } from '#engine/open.ts';
import type { BuildEnd, BuildOutcome, BuildRequest } from '#engine/build-requests.ts';
import type { ProgressEvent, Report } from '#formats/progress/event.ts';
import { fullDisk, fullDiskHint, JettisonError, messageOf } from '#ground/base/errors.ts';
import { defineCommand, type Surroundings } from '../command.ts';
import { engineFor } from '../engine.ts';
import { badValue, parseBoolean } from '../option.ts';
import { summaryLine } from '../output/summary.ts';
import { whyLines } from '../output/why.ts';
import { isTerminal, openScreen, progressModes, type ProgressMode } from '../output/screen.ts';
import type { BuildWarning } from './build-metadata.ts';
import { readRetries } from './retry-options.ts';
import { buildOptions, notBuiltOptions, requestOf, type BuildOptions } from './build-request.ts';

export const buildCommand = defineCommand({
  name: 'build',
  summary: 'Build an image from a Dockerfile',
  usage: '[OPTIONS] PATH | ADDRESS | -',
  options: buildOptions,
  notBuilt: notBuiltOptions,
  arguments: [1, 1],
  async run(given, around, signal) {
    refuseClassicBuilder(around.environment['DOCKER_BUILDKIT'] ?? '');
    if (!given.options.remove) throw new JettisonError('cli/not-built', '"--rm=false" is not built yet');
    const request = await requestOf(given.options, given.arguments[0] ?? '', around, signal);
    const call = given.options.check ? { ...given.options.call, kind: 'check' as const } : given.options.call;
    if (call.kind !== 'build') {
      if (given.options.metadataFile !== undefined)
        throw new JettisonError('cli/usage', `"--call=${call.kind}" builds nothing that "--metadata-file" could tell of`);
      const { callBuild } = await import('./build-call.ts');
      return await callBuild(request, call, around, signal);
    }
    const mode = progressMode(given.options, around);
    const warnings: BuildWarning[] = [];
    const note = (event: ProgressEvent): void => void (event.kind === 'warning' && warnings.push(event));
    // What an earlier build wrote must not be taken for this one's when it fails.
    if (given.options.idFile !== undefined) rmSync(resolve(around.currentFolder, given.options.idFile), { force: true });
    const { cacheMax, isolation } = given.options;
    const wished = { ...(cacheMax === undefined ? {} : { cacheMax }), ...(isolation === undefined ? {} : { isolation }) };
    const setting = { mode, network: readRetries(given.options), note, ...wished };
    const outcome = await buildOnScreen(request, setting, around, signal);
    if (given.options.idFile !== undefined)
      writeAtomically(resolve(around.currentFolder, given.options.idFile), outcome.imageId, 'the image ID');
    if (given.options.metadataFile !== undefined) {
      const { buildMetadata } = await import('./build-metadata.ts');
      const wanted = parseBoolean(around.environment['BUILDX_METADATA_WARNINGS'] ?? '') === true;
      const text = buildMetadata(outcome, wanted ? warnings : undefined);
      writeAtomically(resolve(around.currentFolder, given.options.metadataFile), text, 'the metadata');
    }
    // Nothing else goes to stdout.
    if (mode === 'quiet') around.streams.stdout.write(`${outcome.imageId}\n`);
    return 0;
  },
});

type Setting = { readonly mode: ProgressMode; readonly note: Report } & Pick<EngineOptions, 'network' | 'cacheMax' | 'isolation'>;

async function buildOnScreen(request: BuildRequest, setting: Setting, around: Surroundings, signal: AbortSignal): Promise<BuildOutcome> {
  const { mode, note, ...given } = setting;
  const dockerfile = request.file === undefined ? 'Dockerfile' : basename(request.file);
  let lastLines: readonly string[] = [];
  using left = new DisposableStack();
  // When the screen is left, and before the error.
  left.defer(() => void around.streams.stderr.write(lastLines.map((line) => `${line}\n`).join('')));
  await using engine = await engineFor(around, given);
  using screen = await openScreen(mode, around);
  const report: Report = (event) => (note(event), screen.report(event));
  const failed = ({ why }: BuildEnd): void => {
    if (mode !== 'quiet' && mode !== 'rawjson') lastLines = whyLines(why, dockerfile);
  };
  const made = await build(engine, request, { report, failed }, signal);
  const closing = mode === 'quiet' ? [] : [...whyLines(made.why, dockerfile), summaryLine(made)];
  screen.finish({ imageId: made.imageId, names: made.tags, closing });
  return made;
}

function progressMode(given: BuildOptions, around: Surroundings): ProgressMode {
  if (given.quiet) return 'quiet';
  const asked = given.progress ?? modeOf(around.environment['BUILDKIT_PROGRESS'] ?? '');
  if (asked === 'tty' && !isTerminal(around.streams.stderr, around.environment)) {
    throw badValue('progress', 'tty', 'standard error is not a terminal');
  }
  return asked;
}

function modeOf(word: string): ProgressMode {
  const mode = progressModes.find((one) => one === (word === '' ? 'auto' : word));
  if (mode !== undefined) return mode;
  throw new JettisonError('cli/bad-value', `Invalid BUILDKIT_PROGRESS "${word}"`, {
    hint: `Use ${progressModes.map((one) => `"${one}"`).join(', ')}`,
  });
}

/** The docker CLI takes the builder from before BuildKit when this variable is false. */
function refuseClassicBuilder(word: string): void {
  if (word === '' || parseBoolean(word) === true) return;
  throw parseBoolean(word) === undefined
    ? new JettisonError('cli/bad-value', `DOCKER_BUILDKIT expects a boolean value, not "${word}"`)
    : new JettisonError('cli/not-built', 'The form of the builder before BuildKit ("DOCKER_BUILDKIT=0") is not built yet', {
        hint: 'Unset DOCKER_BUILDKIT, or set it to 1',
      });
}

function writeAtomically(file: string, content: string, what: string): void {
  const draft = `${file}.${process.pid}.tmp`;
  try {
    writeFileSync(draft, content, { flag: 'wx' });
    renameSync(draft, file);
  } catch (error) {
    rmSync(draft, { force: true });
    const full = fullDisk(error);
    throw new JettisonError('cli/cannot-write', `Cannot write ${what} to "${file}": ${full ?? messageOf(error)}`, {
      fault: 'environment',
      cause: error,
      ...(full === undefined ? {} : { hint: fullDiskHint }),
    });
  }
}
