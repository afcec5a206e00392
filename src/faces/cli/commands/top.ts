import { listContainerProcesses } from '#engine/container-top.ts';
import { findContainer } from '#engine/find-container.ts';
import { defineCommand } from '../command.ts';
import { engineFor } from '../engine.ts';
import { formatTable } from '../output/table.ts';
import { harmless } from '../output/text.ts';

const narrowest = 20;

export const topCommand = defineCommand({
  name: 'top',
  summary: 'Display the running processes of a container',
  usage: 'CONTAINER [ps OPTIONS]',
  options: {},
  arguments: [1, Infinity],
  optionsEndAtArgument: true,
  async run({ arguments: [name = '', ...words] }, around, signal) {
    await using engine = await engineFor(around);
    const { titles, processes } = await listContainerProcesses(engine, findContainer(engine, name), words.join(' '), signal);
    const rows = [titles, ...processes].map((row) => row.map((cell) => harmless(cell, false)));
    around.streams.stdout.write(formatTable(rows, narrowest));
    return 0;
  },
});
