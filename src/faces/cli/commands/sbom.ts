import { resolve } from 'node:path';
import { sbomOf } from '#engine/sbom.ts';
import { defineCommand } from '../command.ts';
import { engineFor } from '../engine.ts';
import { choice, text } from '../option.ts';
import { goJson } from '#ground/base/go-json.ts';
import { formatTable } from '../output/table.ts';
import { harmless } from '../output/text.ts';
import { openTransferScreen } from '../output/transfers.ts';
import { writeAtomically } from '../output/write-file.ts';

export const sbomCommand = defineCommand({
  name: 'sbom',
  summary: 'List the packages that an image has',
  usage: '[OPTIONS] IMAGE',
  options: {
    format: choice('format', {
      words: ['list', 'spdx-json'],
      initial: 'list',
      help: '"list", or "spdx-json" for an SPDX document (default "list")',
    }),
    output: text('output', { short: 'o', value: 'file', help: 'Write to a file instead of standard output' }),
  },
  arguments: [1, 1],
  async run({ options, arguments: [name = ''] }, around, signal) {
    await using engine = await engineFor(around);
    using screen = openTransferScreen(around.streams.stderr, around);
    const { packages, document, unread } = await sbomOf(engine, name, screen.report, signal);
    for (const one of unread) around.streams.stderr.write(`WARNING: not read: ${harmless(one, false)}\n`);
    const rows = packages.map((one) =>
      [one.namespace === undefined ? one.name : `${one.namespace}/${one.name}`, one.version, one.type, `/${one.foundIn}`].map((cell) =>
        harmless(cell, false),
      ),
    );
    const shown =
      options.format === 'list' ? formatTable([['PACKAGE', 'VERSION', 'TYPE', 'FOUND IN'], ...rows]) : `${goJson(document, 2)}\n`;
    if (options.output === undefined) around.streams.stdout.write(shown);
    else writeAtomically(resolve(around.currentFolder, options.output), shown, 'the packages');
    return 0;
  },
});
