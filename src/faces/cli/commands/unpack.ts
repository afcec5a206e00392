import { resolve } from 'node:path';
import { unpackTo } from '#engine/image-files.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { defineCommand } from '../command.ts';
import { engineFor } from '../engine.ts';
import { flag, text } from '../option.ts';
import { openTransferScreen } from '../output/transfers.ts';

export const unpackCommand = defineCommand({
  name: 'unpack',
  summary: 'Make a folder of the files of an image',
  usage: '[OPTIONS] IMAGE FOLDER',
  options: {
    ownOwner: flag('no-same-owner', { help: 'All files are your own (the default, but for root, who keeps the owners of the image)' }),
    platform: text('platform', { help: 'Which image of several: "os/architecture[/variant]"' }),
  },
  arguments: [2, 2],
  async run({ options, arguments: [name = '', folder = ''] }, around, signal) {
    if (folder === '-')
      throw new JettisonError('cli/usage', 'A folder cannot go to standard output', { hint: `Use "jettison cp --from ${name} / -"` });
    await using engine = await engineFor(around);
    using screen = openTransferScreen(around.streams.stderr, around);
    const keepsOwners = !options.ownOwner && process.getuid?.() === 0;
    const request = { name, platform: options.platform, folder: resolve(around.currentFolder, folder), keepsOwners };
    await unpackTo(engine, request, screen.report, signal);
    return 0;
  },
});
