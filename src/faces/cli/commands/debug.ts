import { debugFailureCode, debugPlace, repeatStep, type DebugWish } from '#engine/debug-step.ts';
import { findFailedStep, isFailedName, placeOfFailed, type StepPlace } from '#engine/step-place.ts';
import type { Engine } from '#engine/open.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { attachStreams, terminalSize } from '../attached.ts';
import { defineCommand, type Surroundings } from '../command.ts';
import { usualDetachKeys } from '../detach-keys.ts';
import { engineFor } from '../engine.ts';
import { flag, list, text } from '../option.ts';
import { goJson } from '../output/go-json.ts';
import { harmless } from '../output/text.ts';
import { failedDocument, shownWords } from '../output/failed-step.ts';

export const debugCommand = defineCommand({
  name: 'debug',
  summary: 'Open a shell where a build failed',
  usage: '[OPTIONS] [@fail] [-- COMMAND [ARG...]]',
  options: {
    again: flag('again', { help: 'Run the step once more as it was, over the files before it, and exit as it does' }),
    environment: list('env', { short: 'e', help: 'Set environment variables: "NAME=VALUE"' }),
    json: flag('json', { help: 'Print what is known of the step as JSON, and open nothing' }),
    user: text('user', { short: 'u', help: 'Username or UID (default: as in the step)' }),
    workingDirectory: text('workdir', { short: 'w', help: 'Working directory (default: as in the step)' }),
  },
  arguments: [0, Infinity],
  optionsEndAtArgument: true,
  failureCode: debugFailureCode,
  async run({ options, arguments: [name = '@fail', ...rest] }, around, signal) {
    const words = rest[0] === '--' ? rest.slice(1) : rest;
    await using engine = await engineFor(around);
    if (!isFailedName(name))
      throw new JettisonError('cli/usage', `"${name}" is not a failed step`, { hint: 'It is called "@fail"; a command stands behind it' });
    const kept = await findFailedStep(engine, name);
    const place = placeOfFailed(kept);
    if (options.json) {
      around.streams.stdout.write(`${goJson(failedDocument(kept))}\n`);
      return 0;
    }
    if (options.again) return await runAgain(engine, place, around, signal);
    for (const note of place.notes) around.streams.stderr.write(`${harmless(note, false)}\n`);
    const environment = options.environment.map((entry) => (entry.includes('=') ? entry : `${entry}=${around.environment[entry] ?? ''}`));
    const { user, workingDirectory } = options;
    const wish: DebugWish = { arguments: words, environment, user, workingDirectory, terminal: terminalFor(around) };
    const tell = (line: string): void => void around.streams.stderr.write(`${line}\n`);
    const opened = (): void => {
      if (wish.terminal === undefined) return;
      tell(harmless(`${place.title}, as it was when it ended with ${kept.step.code}. What is written here goes when you leave.`, false));
      if (place.op !== undefined) tell(`It ran: ${harmless(shownWords(place.op.arguments), false)}`);
    };
    return await debugPlace(engine, place, wish, opened, signal);
  },
});

async function runAgain(engine: Engine, place: StepPlace, around: Surroundings, signal: AbortSignal): Promise<number> {
  const { stdout, stderr } = around.streams;
  for (const note of place.notes) stderr.write(`${harmless(note, false)}\n`);
  const report = (event: { readonly kind: string; readonly stream?: string; readonly text?: string }): void => {
    if (event.kind === 'output') (event.stream === 'stderr' ? stderr : stdout).write(event.text ?? '');
  };
  return await repeatStep(engine, place, report, signal);
}

/** A shell, or a command, has a terminal where the user has one for both directions. */
function terminalFor(around: Surroundings): DebugWish['terminal'] {
  const { stdin, stdout } = around.streams;
  if (stdin.isTTY !== true || stdout.isTTY !== true) return undefined;
  const attach = async (folder: string): Promise<unknown> =>
    await attachStreams(
      { folder, stdin: true, stdout: true, stderr: true, terminal: true, detachKeys: usualDetachKeys, onSignal: undefined },
      around.streams,
    );
  return { size: terminalSize(around.streams), attach };
}
