import { resolve } from 'node:path';
import { exportContainer } from '#engine/export-container.ts';
import { defineCommand } from '../command.ts';
import { engineFor } from '../engine.ts';
import { text } from '../option.ts';
import { archiveWriter } from '../output/archive-writer.ts';
import { openTransferScreen } from '../output/transfers.ts';

export const exportCommand = defineCommand({
  name: 'export',
  summary: "Export a container's filesystem as a tar archive",
  usage: '[OPTIONS] CONTAINER',
  options: { output: text('output', { short: 'o', help: 'Write to a file, instead of STDOUT' }) },
  arguments: [1, 1],
  async run({ options, arguments: [container = ''] }, around, signal) {
    const to = options.output === undefined ? archiveWriter(around, signal) : resolve(around.currentFolder, options.output);
    await using engine = await engineFor(around);
    using screen = openTransferScreen(around.streams.stderr, around);
    await exportContainer(engine, { container, to }, screen.report, signal);
    return 0;
  },
});
