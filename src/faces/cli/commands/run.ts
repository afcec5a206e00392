import { createContainer } from '#engine/create-container.ts';
import type { FailedStart } from '#engine/explain-start.ts';
import { findContainer } from '#engine/find-container.ts';
import { holdContainer } from '#engine/hold-container.ts';
import { launch } from '#engine/launch.ts';
import type { CreateRequest } from '#engine/container-requests.ts';
import type { Engine } from '#engine/open.ts';
import type { Report } from '#formats/progress/event.ts';
import { isCode, JettisonError } from '#ground/base/errors.ts';
import { defineCommand } from '../command.ts';
import { readDetachKeys, usualDetachKeys } from '../detach-keys.ts';
import { engineFor } from '../engine.ts';
import { flag, text } from '../option.ts';
import { openTransferScreen, silentTransferScreen } from '../output/transfers.ts';
import { startAttached } from './container-attach.ts';
import { containerOptions, containerOptionsNotBuilt, createRequest, usualStreams } from './container-options.ts';

/** Exit codes of `docker run` when it is not the container that failed: no such command, one that cannot be run, one without its interpreter, or that is no program (what runc's init ends with), anything else. */
export function startFailure(error: unknown): number {
  if (isCode(error, 'runtime/command-not-found')) return 127;
  if (isCode(error, 'runtime/no-interpreter') || isCode(error, 'runtime/not-a-program')) return 255;
  return isCode(error, 'runtime/command-not-executable') ? 126 : 125;
}

export const runCommand = defineCommand({
  name: 'run',
  summary: 'Create and run a new container from an image',
  usage: '[OPTIONS] IMAGE [COMMAND] [ARG...]',
  options: {
    ...containerOptions,
    detach: flag('detach', { short: 'd', help: 'Run the container in the background and print its ID' }),
    detachKeys: text('detach-keys', { help: 'Keys that leave a container with a terminal running (default "ctrl-p,ctrl-q")' }),
    signals: flag('sig-proxy', { help: 'Pass signals on to the container' }, true),
  },
  notBuilt: containerOptionsNotBuilt,
  arguments: [1, Infinity],
  optionsEndAtArgument: true,
  failureCode: startFailure,
  async run({ options, arguments: words }, around, signal) {
    const { isolation } = options;
    if (options.detach && options.attach.length > 0)
      throw new JettisonError('cli/usage', 'Conflicting options: cannot specify both --attach and --detach');
    const request = forRun(createRequest(options, words, around), options.detach);
    const streams = request.attach;
    const detachKeys = options.detachKeys ?? usualDetachKeys;
    readDetachKeys(detachKeys);
    const attaching = {
      stdin: streams.includes('stdin'),
      stdout: streams.includes('stdout'),
      stderr: streams.includes('stderr'),
      detachKeys,
      passesSignals: options.signals,
    };
    if (request.terminal && request.openStdin && attaching.stdin && around.streams.stdin.isTTY !== true)
      throw new JettisonError('cli/no-terminal', 'the input device is not a TTY', { hint: 'Leave "-t" out' });
    await using engine = await engineFor(around, isolation === undefined ? {} : { isolation });
    using screen = options.quiet ? silentTransferScreen() : openTransferScreen(around.streams.stderr, around);
    const id = await createContainer(engine, request, screen.report, signal);
    const container = findContainer(engine, id);
    if (options.detach) {
      const { started } = await launch(engine, container, { awaitsClient: false, size: undefined }, screen.report, signal);
      await started;
      around.streams.stdout.write(`${id}\n`);
      return 0;
    }
    // Docker's client says which container it is where it shows nothing of it.
    if (!attaching.stdout && !attaching.stderr) around.streams.stdout.write(`${id}\n`);
    if (outlivesCommand(request, options.signals))
      return await startAttached(engine, container, { attaching, report: screen.report }, around, signal);
    const holding = { own: attaching, awaitsClient: false, size: undefined, onReady: nothing, onStart: nothing };
    try {
      return await holdContainer(engine, id, holding, screen.report, signal);
    } catch (error) {
      throw await explained(engine, { spec: container.spec, error }, screen.report, signal);
    }
  },
});

/** The same error, with what the image lacks in the place of its hint. */
async function explained(engine: Engine, failed: FailedStart, report: Report, signal: AbortSignal): Promise<unknown> {
  const { error } = failed;
  if (!(error instanceof JettisonError) || !error.code.startsWith('runtime/')) return error;
  const { explainStart } = await import('#engine/explain-start.ts');
  const check = await explainStart(engine, failed, report, signal);
  if (check === undefined) return error;
  const { payloadHint } = await import('../output/payload.ts');
  return new JettisonError(error.code, error.message, { fault: error.fault, notes: error.notes, cause: error, hint: payloadHint(check) });
}

function nothing(): void {}

/** With the streams that `run` is attached to. */
function forRun(request: CreateRequest, detach: boolean): CreateRequest {
  if (detach) return { ...request, startsAtOnce: true };
  const attach = usualStreams(request);
  const isFed = attach.includes('stdin');
  return { ...request, startsAtOnce: true, attach, openStdin: request.openStdin || isFed, stdinOnce: isFed };
}

/** Then this process cannot be what holds it. */
function outlivesCommand({ terminal, restart }: CreateRequest, passesSignals: boolean): boolean {
  return terminal || restart.policy !== 'no' || !passesSignals;
}
