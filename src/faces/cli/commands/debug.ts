import { resolve } from 'node:path';
import { isBorrowed } from '#engine/host-shell.ts';
import { debugFailureCode, debugPlace, repeatStep, type DebugWish } from '#engine/debug-step.ts';
import { failedName, findFailedStep, isFailedName, placeOfFailed, type StepPlace } from '#engine/step-place.ts';
import type { Engine } from '#engine/open.ts';
import { failedStepDocument, stagePlaceDocument } from '#faces/documents/make-failed-step.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { attachStreams, terminalSize } from '../attached.ts';
import { defineCommand, type Surroundings } from '../command.ts';
import { usualDetachKeys } from '../detach-keys.ts';
import { engineFor } from '../engine.ts';
import { flag, list, text } from '../option.ts';
import { goJson } from '#ground/base/go-json.ts';
import { harmless } from '../output/text.ts';
import { openTransferScreen } from '../output/transfers.ts';
import { shownWords } from '../output/failed-step.ts';

export const debugCommand = defineCommand({
  name: 'debug',
  summary: 'Open a shell where a build failed, or in a stage of it',
  usage: '[OPTIONS] [@fail|STAGE|STAGE:LINE|Dockerfile:LINE] [-- COMMAND [ARG...]]',
  options: {
    again: flag('again', { help: 'Run the step once more as it was, over the files before it, and exit as it does' }),
    bundle: text('bundle', { value: 'file', help: 'Write the failed step to a file ("step.tar.zst") that another machine can open' }),
    environment: list('env', { short: 'e', help: 'Set environment variables: "NAME=VALUE"' }),
    json: flag('json', { help: 'Print what is known of the step as JSON, and open nothing' }),
    open: text('open', { value: 'file', help: 'Make the failed step of such a file "@fail" here' }),
    user: text('user', { short: 'u', help: 'Username or UID (default: as in the step)' }),
    workingDirectory: text('workdir', { short: 'w', help: 'Working directory (default: as in the step)' }),
  },
  arguments: [0, Infinity],
  optionsEndAtArgument: true,
  failureCode: debugFailureCode,
  async run({ options, ...given }, around, signal) {
    const { name, words } = readTarget(given);
    const way = readWay(options, words);
    await using engine = await engineFor(around);
    if (options.open !== undefined) {
      const step = await openFile(engine, resolve(around.currentFolder, options.open), around, signal);
      around.streams.stderr.write(`${harmless(`@fail is now: ${step.text}, which ended with ${step.code}`, false)}\n`);
      if (words.length === 0 && way === undefined && around.streams.stdin.isTTY !== true) return 0;
    }
    const kept = isFailedName(name) ? await findFailedStep(engine, name) : undefined;
    const place = kept === undefined ? await openStage(engine, name, around, signal) : placeOfFailed(kept);
    if (options.json) {
      around.streams.stdout.write(`${goJson(kept === undefined ? stagePlaceDocument(place) : failedStepDocument(kept))}\n`);
      return 0;
    }
    if (options.bundle !== undefined) {
      if (kept === undefined)
        throw new JettisonError('cli/usage', 'Only a failed step goes into a bundle', { hint: 'It is called "@fail"' });
      const { writeBundle } = await import('#engine/bundle.ts');
      await writeBundle(engine, kept, resolve(around.currentFolder, options.bundle), () => undefined, signal);
      return 0;
    }
    if (options.again) return await runAgain(engine, place, around, signal);
    for (const note of place.notes) around.streams.stderr.write(`${harmless(note, false)}\n`);
    const environment = options.environment.map((entry) => (entry.includes('=') ? entry : `${entry}=${around.environment[entry] ?? ''}`));
    const { user, workingDirectory } = options;
    const wish: DebugWish = { arguments: words, environment, user, workingDirectory, attached: terminalFor(around, signal) };
    const tell = (line: string): void => void around.streams.stderr.write(`${line}\n`);
    const opened = (shell: readonly string[]): void => {
      if (isBorrowed(shell)) tell('There is no shell in these files: this is the busybox of this machine, at /.jettison-shell');
      if (wish.attached === undefined) return;
      const state = kept === undefined ? 'as it is behind this line' : `as it was when it ended with ${kept.step.code}`;
      tell(harmless(`${place.title}, ${state}. What is written here goes when you leave.`, false));
      if (place.op !== undefined) tell(`It ran: ${harmless(shownWords(place.op.arguments), false)}`);
    };
    return await debugPlace(engine, place, wish, opened, signal);
  },
});

/** What stands behind `--` is to run there; so are the words behind a name. */
function readTarget(given: { readonly arguments: readonly string[]; readonly words: readonly string[] }) {
  // The reader of options takes the first "--" for the end of them.
  const all = given.words.at(-given.arguments.length - 1) === '--' ? [failedName, ...given.arguments] : given.arguments;
  const [name = failedName, ...rest] = all;
  return { name, words: rest[0] === '--' ? rest.slice(1) : rest };
}

type Way = 'again' | 'bundle' | 'json';

/** What is done instead of opening the place. Throws `cli/usage` where that leaves nothing to do for something else that was said. */
function readWay(
  options: { readonly [W in Way]: unknown } & Pick<DebugWish, 'environment' | 'user' | 'workingDirectory'>,
  words: readonly string[],
) {
  const ways = (['again', 'bundle', 'json'] as const).filter((one) => options[one] !== undefined && options[one] !== false);
  const [way, other] = ways;
  if (way === undefined) return undefined;
  if (other !== undefined) throw new JettisonError('cli/usage', `"--${way}" and "--${other}" do not go together`);
  const { environment, user, workingDirectory } = options;
  if (words.length > 0 || environment.length > 0 || user !== undefined || workingDirectory !== undefined)
    throw new JettisonError('cli/usage', `"--${way}" opens no place: a command, "--env", "--user" and "--workdir" mean nothing with it`);
  return way;
}

async function openFile(engine: Engine, path: string, around: Surroundings, signal: AbortSignal) {
  const { openBundle } = await import('#engine/bundle.ts');
  using screen = openTransferScreen(around.streams.stderr, around);
  return await openBundle(engine, path, screen.report, signal);
}

/** A stage of the build that was asked for last, in this folder or at all. */
async function openStage(engine: Engine, name: string, around: Surroundings, signal: AbortSignal): Promise<StepPlace> {
  const { lastAsked, placeInStage } = await import('#engine/stage-place.ts');
  const { requestOfWords } = await import('./build-words.ts');
  const { words, folder } = (await lastAsked(engine)) ?? { words: ['.'], folder: around.currentFolder };
  const request = await requestOfWords(words, folder, around, signal);
  return await placeInStage({ ...engine, currentFolder: folder }, request, name, signal);
}

async function runAgain(engine: Engine, place: StepPlace, around: Surroundings, signal: AbortSignal): Promise<number> {
  const { stdout, stderr } = around.streams;
  for (const note of place.notes) stderr.write(`${harmless(note, false)}\n`);
  const report = (event: { readonly kind: string; readonly stream?: string; readonly text?: string }): void => {
    if (event.kind === 'output') (event.stream === 'stderr' ? stderr : stdout).write(event.text ?? '');
  };
  return await repeatStep(engine, place, report, signal);
}

/** A shell, or a command, has a terminal where the user has one for both directions. */
function terminalFor(around: Surroundings, signal: AbortSignal): DebugWish['attached'] {
  const { stdin, stdout } = around.streams;
  if (stdin.isTTY !== true || stdout.isTTY !== true) return undefined;
  const attach = async (folder: string): Promise<unknown> =>
    await attachStreams(
      { folder, stdin: true, stdout: true, stderr: true, terminal: true, detachKeys: usualDetachKeys, onSignal: undefined },
      around.streams,
      signal,
    );
  return { isTerminal: true, size: terminalSize(around.streams), endsAtOnce: false, attach };
}
