import { commitContainer } from '#engine/commit-container.ts';
import { defineCommand } from '../command.ts';
import { engineFor } from '../engine.ts';
import { flag, list, text } from '../option.ts';
import { openTransferScreen } from '../output/transfers.ts';

export const commitCommand = defineCommand({
  name: 'commit',
  summary: "Create a new image from a container's changes",
  usage: '[OPTIONS] CONTAINER [REPOSITORY[:TAG]]',
  options: {
    author: text('author', { short: 'a', help: 'Author (e.g., "John Hannibal Smith <hannibal@a-team.com>")' }),
    change: list('change', { short: 'c', help: 'Apply Dockerfile instruction to the created image' }),
    message: text('message', { short: 'm', help: 'Commit message' }),
    pause: flag('pause', { short: 'p', help: 'Pause container during commit' }, true),
  },
  arguments: [1, 2],
  async run({ options, arguments: [container = '', name] }, around, signal) {
    await using engine = await engineFor(around);
    using screen = openTransferScreen(around.streams.stderr, around);
    const { author = '', message = '', change: changes, pause: pauses } = options;
    const id = await commitContainer(engine, { container, name, author, message, changes, pauses }, screen.report, signal);
    around.streams.stdout.write(`${id}\n`);
    return 0;
  },
});
