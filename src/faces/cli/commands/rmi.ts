import { removeImages } from '#engine/images.ts';
import { isCode } from '#ground/base/errors.ts';
import { defineCommand } from '../command.ts';
import { engineFor } from '../engine.ts';
import { flag } from '../option.ts';
import { printError } from '../output/error.ts';
import { forEachName } from './for-each-name.ts';

export const rmiCommand = defineCommand({
  name: 'rmi',
  summary: 'Remove images',
  usage: '[OPTIONS] IMAGE [IMAGE...]',
  options: {
    force: flag('force', { short: 'f', help: 'Force removal of the image' }),
    noPrune: flag('no-prune', { help: 'Do not delete untagged parents (there are none)' }),
  },
  notBuilt: 'platform',
  arguments: [1, Infinity],
  async run({ options, arguments: names }, around, signal) {
    await using engine = await engineFor(around);
    const work = async (name: string): Promise<void> => {
      for (const removed of await removeImages(engine, [name], { force: options.force }, signal)) {
        around.streams.stdout.write(removed.kind === 'untagged' ? `Untagged: ${removed.name}\n` : `Deleted: ${removed.id}\n`);
      }
    };
    return await forEachName(names, around.streams, async (name) => {
      try {
        await work(name);
      } catch (error) {
        if (!options.force || !isCode(error, 'image/not-found')) throw error;
        // As docker: said, and no failure.
        printError(error, around.streams.stderr, 0);
      }
    });
  },
});
