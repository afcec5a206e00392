/** A process where a build stopped, or in a stage of it, with its streams. */
import { attachContainer } from '#execution/worker/control.ts';
import { debugPlace, type AttachedStreams, type DebugWish } from '#engine/debug-step.ts';
import type { Engine } from '#engine/open.ts';
import type { StepPlace } from '#engine/step-place.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { Calls } from './calls.ts';
import type { DebugOptions, DebugProcess } from './debug-process.ts';
import { openProcess } from './open-process.ts';

/** Settles when the process is about to start. Throws `engine/no-failed-step`, `engine/no-such-place`, `engine/not-in-cache`, `engine/place-gone`, `engine/no-shell`. */
export async function openDebugProcess(
  calls: Pick<Calls, 'told'>,
  options: DebugOptions,
  findPlace: (engine: Engine, signal: AbortSignal) => Promise<StepPlace>,
): Promise<DebugProcess> {
  const given = options.signal === undefined ? {} : { signal: options.signal };
  return await openProcess<object>(calls, given, async (engine, { streams, began }, own) => {
    const place = await findPlace(engine, own);
    const attach = async (folder: string): Promise<unknown> => {
      const attachment = await attachContainer(folder, { stdin: true, stdout: true, stderr: true }, streams.take, own);
      if (attachment === undefined) throw new JettisonError('library/no-streams', 'The process ended before it began', { fault: 'bug' });
      using client = attachment;
      streams.connect(client);
      began({});
      return await client.ended;
    };
    return await debugPlace(engine, place, wishOf(options, attach), () => undefined, own);
  });
}

function wishOf({ command, environment, user, workingDirectory, terminal }: DebugOptions, attach: AttachedStreams['attach']): DebugWish {
  return {
    arguments: command ?? [],
    environment: Object.entries(environment ?? {}).map(([name, value]) => `${name}=${value}`),
    user,
    workingDirectory,
    attached: { isTerminal: terminal !== undefined, size: terminal, endsAtOnce: true, attach },
  };
}
