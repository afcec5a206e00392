import { resolve } from 'node:path';
import { loadImages } from '#engine/load.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { defineCommand } from '../command.ts';
import { engineFor } from '../engine.ts';
import { flag, text } from '../option.ts';
import { openTransferScreen, silentTransferScreen } from '../output/transfers.ts';

export const loadCommand = defineCommand({
  name: 'load',
  summary: 'Load images from a tar archive or STDIN',
  usage: '[OPTIONS]',
  options: {
    input: text('input', { short: 'i', help: 'Read from a tar archive file, instead of STDIN' }),
    platform: text('platform', { help: 'Only the images for this platform: "os/architecture[/variant]"' }),
    quiet: flag('quiet', { short: 'q', help: 'Do not show progress' }),
  },
  arguments: [0, 0],
  async run({ options }, around, signal) {
    const { stdin, stdout, stderr } = around.streams;
    if (options.input === undefined && stdin.isTTY === true) {
      throw new JettisonError('cli/usage', 'Refusing to read an archive from a terminal', { hint: 'Use the -i flag or redirect' });
    }
    const source =
      options.input === undefined
        ? { kind: 'stream' as const, chunks: stdin as AsyncIterable<Uint8Array> }
        : { kind: 'file' as const, path: resolve(around.currentFolder, options.input) };
    await using engine = await engineFor(around);
    const loaded = await (async () => {
      using screen = options.quiet ? silentTransferScreen() : openTransferScreen(stderr, around);
      return await loadImages(engine, { source, platform: options.platform }, screen.report, signal);
    })();
    for (const image of loaded) {
      const lines = image.names.length > 0 ? image.names.map((name) => `Loaded image: ${name}\n`) : [`Loaded image ID: ${image.id}\n`];
      stdout.write(lines.join(''));
    }
    return 0;
  },
});
