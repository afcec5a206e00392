import { tagImage } from '#engine/images.ts';
import { defineCommand } from '../command.ts';
import { engineFor } from '../engine.ts';

export const tagCommand = defineCommand({
  name: 'tag',
  summary: 'Give an image one more name',
  usage: 'SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]',
  options: {},
  arguments: [2, 2],
  async run({ arguments: [source = '', target = ''] }, around) {
    await using engine = await engineFor(around);
    tagImage(engine, source, target);
    return 0;
  },
});
