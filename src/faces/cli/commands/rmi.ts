import { removeImages } from '#engine/images.ts';
import { defineCommand } from '../command.ts';
import { engineFor } from '../engine.ts';
import { flag } from '../option.ts';
import { forEachName } from './for-each-name.ts';

export const rmiCommand = defineCommand({
  name: 'rmi',
  summary: 'Remove images',
  usage: '[OPTIONS] IMAGE [IMAGE...]',
  options: { force: flag('force', { short: 'f', help: 'Force removal of the image' }) },
  notBuilt: 'no-prune platform',
  arguments: [1, Infinity],
  async run({ options, arguments: names }, around, signal) {
    await using engine = await engineFor(around);
    return await forEachName(names, around.streams, async (name) => {
      for (const removed of await removeImages(engine, [name], { force: options.force }, signal)) {
        around.streams.stdout.write(removed.kind === 'untagged' ? `Untagged: ${removed.name}\n` : `Deleted: ${removed.id}\n`);
      }
    });
  },
});
