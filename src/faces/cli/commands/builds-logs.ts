import { buildLogs } from '#engine/past-builds.ts';
import type { BuildLogStep } from '#engine/past-build-requests.ts';
import type { ProgressEvent } from '#formats/progress/event.ts';
import { defineCommand } from '../command.ts';
import { engineFor } from '../engine.ts';
import { choice } from '../option.ts';
import { openLines } from '../output/screen.ts';
import { readBuild } from './build-choice.ts';

export const buildLogsCommand = defineCommand({
  name: 'builds logs',
  summary: 'Print what the steps of a build wrote',
  usage: '[OPTIONS] [BUILD]',
  options: {
    progress: choice('progress', { words: ['plain', 'rawjson'], initial: 'plain', help: 'How it is printed (default "plain")' }),
  },
  arguments: [0, 1],
  async run({ options, arguments: [id] }, around, signal) {
    await using engine = await engineFor(around);
    const { stdout } = around.streams;
    using screen = await openLines(options.progress, (text) => void stdout.write(text), around.now);
    for (const step of await buildLogs(engine, readBuild(id))) {
      for await (const event of eventsOf(step)) {
        signal.throwIfAborted();
        screen.report(event);
        if (stdout.writableNeedDrain) await new Promise((resolve) => stdout.once('drain', resolve));
      }
    }
    screen.finish(undefined);
    return 0;
  },
});

/** The step once more, as it was reported then. */
async function* eventsOf(step: BuildLogStep): AsyncGenerator<ProgressEvent> {
  const { vertex, startedAt, state } = step;
  yield {
    kind: 'vertex',
    vertex,
    text: step.text,
    ...(step.isPart === true ? { isPart: true } : {}),
    ...(step.stage === null ? {} : { stage: step.stage }),
    ...(step.step === null ? {} : { step: step.step }),
    ...(step.steps === null ? {} : { steps: step.steps }),
  };
  if (state === 'waiting') return;
  if (startedAt > 0) yield { kind: 'vertex-started', vertex, time: startedAt };
  for await (const { after, stream, text } of step.read()) yield { kind: 'output', vertex, stream, text, time: startedAt + after };
  const time = step.finishedAt || startedAt;
  if (state === 'failed' || state === 'cancelled') {
    yield { kind: 'vertex-failed', vertex, time, message: step.message ?? '', cancelled: state === 'cancelled' };
  } else if (state === 'ran') yield { kind: 'vertex-finished', vertex, time };
  else yield { kind: 'vertex-cached', vertex, time, ...(state === 'skipped' ? { isSkipped: true } : {}) };
}
