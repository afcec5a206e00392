import { removeImages } from '#engine/images.ts';
import { removePlatforms } from '#engine/remove-platforms.ts';
import { isCode } from '#ground/base/errors.ts';
import { defineCommand } from '../command.ts';
import { engineFor } from '../engine.ts';
import { flag, list } from '../option.ts';
import { printError } from '../output/error.ts';
import { forEachName } from './for-each-name.ts';

export const rmiCommand = defineCommand({
  name: 'rmi',
  summary: 'Remove images',
  usage: '[OPTIONS] IMAGE [IMAGE...]',
  options: {
    force: flag('force', { short: 'f', help: 'Force removal of the image' }),
    noPrune: flag('no-prune', { help: 'Do not delete untagged parents (there are none)' }),
    platforms: list('platform', { help: 'Of images for several platforms only these: "os/architecture[/variant]"' }),
  },
  arguments: [1, Infinity],
  async run({ options, arguments: names }, around, signal) {
    const { force } = options;
    const platforms = options.platforms.flatMap((text) => text.split(','));
    await using engine = await engineFor(around);
    const work = async (name: string): Promise<void> => {
      const removing =
        platforms.length === 0
          ? await removeImages(engine, [name], { force }, signal)
          : await removePlatforms(engine, { name, platforms, force }, signal);
      for (const removed of removing) {
        around.streams.stdout.write(removed.kind === 'untagged' ? `Untagged: ${removed.name}\n` : `Deleted: ${removed.id}\n`);
      }
    };
    return await forEachName(names, around.streams, async (name) => {
      try {
        await work(name);
      } catch (error) {
        if (!force || !isCode(error, 'image/not-found')) throw error;
        // As docker: said, and no failure.
        printError(error, around.streams.stderr, 0);
      }
    });
  },
});
