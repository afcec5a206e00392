import { removeContainers } from '#engine/containers.ts';
import { isCode } from '#ground/base/errors.ts';
import { defineCommand } from '../command.ts';
import { engineFor } from '../engine.ts';
import { flag } from '../option.ts';
import { printError } from '../output/error.ts';
import { forEachName } from './for-each-name.ts';

export const rmCommand = defineCommand({
  name: 'rm',
  summary: 'Remove containers',
  usage: '[OPTIONS] CONTAINER [CONTAINER...]',
  options: {
    force: flag('force', { short: 'f', help: 'Force the removal of a running container' }),
    volumes: flag('volumes', { short: 'v', help: 'Remove anonymous volumes associated with the container' }),
  },
  notBuilt: 'l=link',
  arguments: [1, Infinity],
  async run({ options, arguments: names }, around, signal) {
    await using engine = await engineFor(around);
    return await forEachName(names, around.streams, async (name) => {
      try {
        await removeContainers(engine, [name], options, signal);
        around.streams.stdout.write(`${name}\n`);
      } catch (error) {
        // With --force it is gone, as was asked for: docker says so, and succeeds.
        if (!options.force || !isCode(error, 'engine/no-such-container')) throw error;
        printError(error, around.streams.stderr, 0);
      }
    });
  },
});
