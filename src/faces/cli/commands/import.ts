import { importImage } from '#engine/import-image.ts';
import { defineCommand } from '../command.ts';
import { engineFor } from '../engine.ts';
import { list, text } from '../option.ts';
import { openTransferScreen } from '../output/transfers.ts';

export const importCommand = defineCommand({
  name: 'import',
  summary: 'Import the contents from a tarball to create a filesystem image',
  usage: '[OPTIONS] file|URL|- [REPOSITORY[:TAG]]',
  options: {
    change: list('change', { short: 'c', help: 'Apply Dockerfile instruction to the created image' }),
    message: text('message', { short: 'm', help: 'Set commit message for imported image' }),
    platform: text('platform', { help: 'Set platform if server is multi-platform capable' }),
  },
  arguments: [1, 2],
  async run({ options, arguments: [file = '', name] }, around, signal) {
    const stdin: AsyncIterable<Uint8Array> = around.streams.stdin;
    await using engine = await engineFor(around);
    using screen = openTransferScreen(around.streams.stderr, around);
    const { message = '', change: changes, platform } = options;
    const request = { source: file === '-' ? stdin : file, currentFolder: around.currentFolder, name, changes, message, platform };
    around.streams.stdout.write(`${await importImage(engine, request, screen.report, signal)}\n`);
    return 0;
  },
});
