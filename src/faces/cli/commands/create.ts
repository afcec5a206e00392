import { fillVolumes } from '#engine/container-files.ts';
import { createContainer } from '#engine/create-container.ts';
import { defineCommand } from '../command.ts';
import { engineFor } from '../engine.ts';
import { openTransferScreen, silentTransferScreen } from '../output/transfers.ts';
import { containerOptions, containerOptionsNotBuilt, createRequest, usualStreams } from './container-options.ts';

export const createCommand = defineCommand({
  name: 'create',
  summary: 'Create a new container, without starting it',
  usage: '[OPTIONS] IMAGE [COMMAND] [ARG...]',
  options: containerOptions,
  notBuilt: containerOptionsNotBuilt,
  arguments: [1, Infinity],
  optionsEndAtArgument: true,
  async run({ options, arguments: words }, around, signal) {
    const { isolation } = options;
    const given = createRequest(options, words, around);
    // As docker has it: who starts it is attached to all of it unless this said otherwise.
    const request = { ...given, stdinOnce: given.openStdin, attach: usualStreams(given) };
    await using engine = await engineFor(around, isolation === undefined ? {} : { isolation });
    using screen = options.quiet ? silentTransferScreen() : openTransferScreen(around.streams.stderr, around);
    const id = await createContainer(engine, request, screen.report, signal);
    await fillVolumes(engine, id, screen.report, signal);
    around.streams.stdout.write(`${id}\n`);
    return 0;
  },
});
