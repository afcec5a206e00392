import { basename, resolve } from 'node:path';
import { build } from '#engine/build.ts';
import type { CheckMode } from '#engine/payload-requests.ts';
import type { EngineOptions } from '#engine/open.ts';
import type { StepFollower } from '#engine/step-follower.ts';
import type { BuildEnd, BuildOutcome, BuildRequest } from '#engine/build-requests.ts';
import type { ProgressEvent, Report } from '#formats/progress/event.ts';
import { clean, JettisonError } from '#ground/base/errors.ts';
import { defineCommand, type Surroundings } from '../command.ts';
import { engineFor } from '../engine.ts';
import { parseBoolean } from '#ground/base/boolean-word.ts';
import { badValue } from '../option.ts';
import { summaryLine } from '../output/summary.ts';
import { unreachedLines, whyLines } from '../output/why.ts';
import { isClassicMode, isTerminal, openScreen, progressModes, type ProgressMode } from '../output/screen.ts';
import type { CheckChoice } from './check-option.ts';
import type { WarningEvent } from '../output/vertex-warning.ts';
import { toStream } from './build-output.ts';
import { readRetries } from './retry-options.ts';
import { buildOptions, notBuiltOptions, requestOf, type BuildOptions } from './build-request.ts';

export const buildCommand = defineCommand({
  name: 'build',
  summary: 'Build an image from a Dockerfile',
  usage: '[OPTIONS] PATH | ADDRESS | -',
  options: buildOptions,
  notBuilt: notBuiltOptions,
  arguments: [1, 1],
  run: async (given, around, signal) => await runBuild(given, around, signal),
});

type Given = { readonly options: BuildOptions; readonly arguments: readonly string[]; readonly words: readonly string[] };

/** What `build` does; `change`: what else its request is to be. */
export async function runBuild(
  given: Given,
  around: Surroundings,
  signal: AbortSignal,
  change: Partial<BuildRequest> = {},
): Promise<number> {
  const wantsClassic = isClassicWanted(around.environment['DOCKER_BUILDKIT'] ?? '');
  if (!given.options.remove) throw new JettisonError('cli/not-built', '"--rm=false" is not built yet');
  const mode = progressMode(given.options, { around, wantsClassic });
  const isClassic = wantsClassic || isClassicMode(mode);
  const told =
    given.options.metadataFile === undefined ? undefined : toldProvenance(around.environment['BUILDX_METADATA_PROVENANCE'] ?? '');
  const asked = await requestOf(given.options, given.arguments[0] ?? '', around, signal);
  const typed = { words: given.words, folder: around.currentFolder };
  const check = checkMode(given.options.check, mode);
  const request = {
    ...asked,
    isClassic,
    check,
    tellsHidden: tellsMore(mode),
    ...(told === undefined ? {} : { told }),
    asked: typed,
    ...change,
  };
  if (isClassic && request.outputs.some(toStream))
    throw new JettisonError('cli/usage', 'The steps of the builder before BuildKit and an archive cannot both go to standard output', {
      hint: 'Name a file: "dest=FILE"',
    });
  const call = given.options.check === 'lint' ? { ...given.options.call, kind: 'check' as const } : given.options.call;
  if (call.kind !== 'build') {
    if (given.options.metadataFile !== undefined)
      throw new JettisonError('cli/usage', `"--call=${call.kind}" builds nothing that "--metadata-file" could tell of`);
    const { callBuild } = await import('./build-call.ts');
    return await callBuild(request, call, around, signal);
  }
  const warnings: WarningEvent[] = [];
  const note = (event: ProgressEvent): void => void (event.kind === 'warning' && warnings.push(event));
  // What an earlier build wrote must not be taken for this one's when it fails.
  const { idFile, metadataFile } = given.options;
  const files = idFile === undefined && metadataFile === undefined ? undefined : await import('../output/write-file.ts');
  if (idFile !== undefined) files?.removeWritten(resolve(around.currentFolder, idFile), 'the image ID');
  const { cacheMax, isolation } = given.options;
  const wished = { ...(cacheMax === undefined ? {} : { cacheMax }), ...(isolation === undefined ? {} : { isolation }) };
  const setting = { mode, network: readRetries(given.options), note, ...wished };
  const outcome = await buildOnScreen(request, setting, around, signal).catch((error: unknown) => classicEnd(error, isClassic, around));
  if (typeof outcome === 'number') return outcome;
  if (idFile !== undefined) files?.writeAtomically(resolve(around.currentFolder, idFile), idsOf(outcome).join('\n'), 'the image ID');
  if (metadataFile !== undefined) {
    const { buildMetadata } = await import('./build-metadata.ts');
    const wanted = parseBoolean(around.environment['BUILDX_METADATA_WARNINGS'] ?? '') === true;
    const text = buildMetadata(outcome, request, wanted ? warnings : undefined);
    files?.writeAtomically(resolve(around.currentFolder, metadataFile), text, 'the metadata');
  }
  // Nothing else goes to stdout.
  if (mode === 'quiet' && !request.outputs.some(toStream))
    around.streams.stdout.write(
      idsOf(outcome)
        .map((id) => `${id}\n`)
        .join(''),
    );
  return 0;
}

/** Of the image; of several targets in their order. */
function idsOf({ image, targets }: BuildOutcome): readonly string[] {
  return (targets ?? [{ image }]).flatMap((one) => one.image?.id ?? []);
}

type Setting = { readonly mode: ProgressMode; readonly note: Report } & Pick<EngineOptions, 'network' | 'cacheMax' | 'isolation'>;

async function buildOnScreen(request: BuildRequest, setting: Setting, around: Surroundings, signal: AbortSignal): Promise<BuildOutcome> {
  const { mode, note, ...given } = setting;
  const dockerfile = request.file === undefined ? 'Dockerfile' : basename(request.file);
  let lastLines: readonly string[] = [];
  using behind = new DisposableStack();
  // When the screen is left, and before the error.
  behind.defer(() => void around.streams.stderr.write(lastLines.map((line) => `${line}\n`).join('')));
  await using engine = await engineFor(around, given);
  using screen = await openScreen(mode, around);
  const report: Report = (event) => (note(event), screen.report(event));
  let left: BuildEnd['failed'];
  const failed = (end: BuildEnd): void => {
    if (!tellsMore(mode)) return;
    lastLines = [...whyLines(end.why, dockerfile), ...unreachedLines(end.unreached ?? [], dockerfile)];
    left = end.failed;
  };
  const { steps = silentSteps } = screen;
  const made = await build(engine, request, { report, failed, ...(request.isClassic === true ? { steps } : {}) }, signal).catch(
    async (error: unknown) => await withLastLine(error, left),
  );
  const unbuilt = await tellUnbuilt(made);
  // For programs: they read no last lines.
  if (mode === 'rawjson') for (const text of unbuilt) screen.report({ kind: 'note', text });
  const closing = !tellsMore(mode)
    ? []
    : [
        ...(await tellPayloads(made)),
        ...(await tellLedgers(made)),
        ...(await tellHidden(made)),
        ...whyLines(made.why, dockerfile),
        ...unbuilt,
        summaryLine(made),
      ];
  const [first, ...others] = (made.targets ?? [made]).map(({ image, names }) => ({
    imageId: image?.isKept === true ? image.id : undefined,
    names,
  }));
  screen.finish({ imageId: first?.imageId, names: first?.names ?? [], others, closing });
  return made;
}

/** What can be done with what a failed step left is said behind its error. */
async function withLastLine(error: unknown, left: BuildEnd['failed']): Promise<never> {
  if (left === undefined || !(error instanceof JettisonError)) throw error;
  const { lookInside } = await import('../output/failed-step.ts');
  const { code, message, fault, at, notes, retryable, hint } = error;
  const line = lookInside(left.wrote);
  throw new JettisonError(code, message, {
    fault,
    at,
    notes,
    retryable,
    cause: error,
    hint: hint === undefined ? line : `${hint}\n${line}`,
  });
}

/** Whoever wants the steps kept but sees them in another form. */
const silentSteps: StepFollower = { context: () => undefined, plan: () => undefined, pulling: () => undefined, image: () => undefined };

async function tellPayloads(outcome: BuildOutcome): Promise<readonly string[]> {
  return outcome.payloads.length === 0 ? [] : (await import('../output/payload.ts')).payloadLines(outcome);
}

/** Nothing where nothing ran: it was said when something did. */
async function tellUnbuilt({ unbuilt, steps }: BuildOutcome): Promise<readonly string[]> {
  const isNew = steps.cached < steps.total;
  return isNew && unbuilt.length > 0 ? (await import('../output/unbuilt.ts')).unbuiltLines(unbuilt) : [];
}

async function tellHidden(outcome: BuildOutcome): Promise<readonly string[]> {
  return outcome.hidden.length === 0 ? [] : (await import('../output/hidden.ts')).hiddenLines(outcome);
}

async function tellLedgers(outcome: BuildOutcome): Promise<readonly string[]> {
  return outcome.ledgers.length === 0 ? [] : (await import('../output/ledger.ts')).ledgerLines(outcome);
}

/** Nobody looks for what nobody is told. */
function checkMode(chosen: CheckChoice, mode: ProgressMode): CheckMode {
  if (chosen === 'error' || chosen === 'warn' || chosen === 'off') return chosen;
  return tellsMore(mode) ? 'warn' : 'off';
}

/** Is anything said beside the steps? */
function tellsMore(mode: ProgressMode): boolean {
  return mode === 'auto' || mode === 'plain' || mode === 'tty';
}

/** A step that failed in the words of the builder before BuildKit, and its exit code; other errors are told as ever. */
function classicEnd(error: unknown, isClassic: boolean, { streams }: Surroundings): number {
  const failed = isClassic && error instanceof JettisonError ? failedCommand.exec(error.message) : null;
  if (failed === null || !(error instanceof JettisonError)) throw error;
  const [, words = '', exited = '', killed = ''] = failed;
  const code = Number(exited || killed);
  streams.stderr.write(
    `The command '${clean(words)}' returned a non-zero code: ${code}\n${error.hint === undefined ? '' : `${error.hint}\n`}`,
  );
  return code;
}

/** The words of `ops/process-failed` and its like. */
const failedCommand = /^process "([\s\S]*)" did not complete successfully: (?:exit code: (\d+)|killed by signal \S+ \(exit code (\d+)\))/u;

type Wishes = { readonly around: Surroundings; readonly wantsClassic: boolean };

function progressMode(given: BuildOptions, { around, wantsClassic }: Wishes): ProgressMode {
  if (given.quiet) return 'quiet';
  const asked =
    given.progress ??
    (given.replays && !wantsClassic ? 'plain' : undefined) ??
    (wantsClassic ? classicMode(around.environment['BUILDKIT_PROGRESS']) : modeOf(around.environment['BUILDKIT_PROGRESS'] ?? ''));
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

/** Docker's client takes no notice of the variable in the classic form; here it may say which of the two. */
function classicMode(word: string | undefined): 'classic' | 'classic-v25' {
  return word === 'classic-v25' ? word : 'classic';
}

/** The docker CLI takes the builder from before BuildKit when this variable is false. */
function isClassicWanted(word: string): boolean {
  if (word === '') return false;
  const wantsBuildKit = parseBoolean(word);
  if (wantsBuildKit !== undefined) return !wantsBuildKit;
  throw new JettisonError('cli/bad-value', `DOCKER_BUILDKIT expects a boolean value, not "${word}"`);
}

/** Buildx's variable: `min`, `max`, or no. */
function toldProvenance(word: string): 'min' | 'max' | undefined {
  if (word === 'max') return 'max';
  const isWanted = word === 'min' || word === '' || parseBoolean(word);
  if (isWanted === undefined && word !== 'disabled')
    throw new JettisonError('cli/bad-value', `BUILDX_METADATA_PROVENANCE is "min", "max" or "disabled", not "${word}"`);
  return isWanted === true ? 'min' : undefined;
}
