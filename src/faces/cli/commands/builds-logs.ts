import { buildEvents } from '#engine/past-builds.ts';
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
    for await (const event of buildEvents(engine, { build: readBuild(id), step: undefined })) {
      signal.throwIfAborted();
      screen.report(event);
      if (stdout.writableNeedDrain) await new Promise((resolve) => stdout.once('drain', resolve));
    }
    screen.finish(undefined);
    return 0;
  },
});
