import { resolve } from 'node:path';
import { saveImages } from '#engine/save.ts';
import { defineCommand } from '../command.ts';
import { engineFor } from '../engine.ts';
import { choice, text } from '../option.ts';
import { archiveWriter } from '../output/archive-writer.ts';
import { openTransferScreen } from '../output/transfers.ts';

export const saveCommand = defineCommand({
  name: 'save',
  summary: 'Save one or more images to a tar archive (streamed to STDOUT by default)',
  usage: '[OPTIONS] IMAGE [IMAGE...]',
  options: {
    output: text('output', { short: 'o', help: 'Write to a file, instead of STDOUT' }),
    platform: text('platform', { help: 'Only the images for this platform: "os/architecture[/variant]"' }),
    format: choice('format', {
      words: ['docker', 'oci'],
      initial: 'docker',
      help: 'What "docker load" reads, or an OCI image layout (default docker)',
    }),
  },
  arguments: [1, Infinity],
  async run({ options, arguments: names }, around, signal) {
    const destination =
      options.output === undefined
        ? { kind: 'stream' as const, write: archiveWriter(around, signal) }
        : { kind: 'file' as const, path: resolve(around.currentFolder, options.output) };
    await using engine = await engineFor(around);
    using screen = openTransferScreen(around.streams.stderr, around);
    await saveImages(engine, { names, platform: options.platform, format: options.format, destination }, screen.report, signal);
    return 0;
  },
});
