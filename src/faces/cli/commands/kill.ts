import { killContainer, pauseContainer, renameContainer, unpauseContainer, waitForContainer } from '#engine/container-life.ts';
import { findContainer } from '#engine/find-container.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { defineCommand } from '../command.ts';
import { engineFor } from '../engine.ts';
import { text } from '../option.ts';
import { forEachContainer } from './each-container.ts';

export const killCommand = defineCommand({
  name: 'kill',
  summary: 'Kill running containers',
  usage: '[OPTIONS] CONTAINER [CONTAINER...]',
  options: { signal: text('signal', { short: 's', help: 'Signal to send to the container (default "KILL")' }) },
  arguments: [1, Infinity],
  run: async ({ options, arguments: names }, around, signal) =>
    await forEachContainer(
      names,
      around,
      async (engine, container) => await killContainer(engine, container, options.signal ?? 'KILL', signal),
    ),
});

export const waitCommand = defineCommand({
  name: 'wait',
  summary: 'Block until containers stop, then print their exit codes',
  usage: 'CONTAINER [CONTAINER...]',
  options: {},
  arguments: [1, Infinity],
  run: async ({ arguments: names }, around, signal) =>
    await forEachContainer(names, around, async (engine, container) => String(await waitForContainer(engine, container, signal))),
});

export const pauseCommand = defineCommand({
  name: 'pause',
  summary: 'Pause all processes of containers',
  usage: 'CONTAINER [CONTAINER...]',
  options: {},
  arguments: [1, Infinity],
  run: async ({ arguments: names }, around, signal) =>
    await forEachContainer(names, around, async (engine, container) => await pauseContainer(engine, container, signal)),
});

export const unpauseCommand = defineCommand({
  name: 'unpause',
  summary: 'Let paused containers go on',
  usage: 'CONTAINER [CONTAINER...]',
  options: {},
  arguments: [1, Infinity],
  run: async ({ arguments: names }, around, signal) =>
    await forEachContainer(names, around, async (engine, container) => await unpauseContainer(engine, container, signal)),
});

export const renameCommand = defineCommand({
  name: 'rename',
  summary: 'Rename a container',
  usage: 'CONTAINER NEW_NAME',
  options: {},
  arguments: [2, 2],
  async run({ arguments: [name = '', next = ''] }, around) {
    await using engine = await engineFor(around);
    if (name === '' || next === '') throw new JettisonError('cli/usage', 'Neither old nor new names may be empty');
    renameContainer(engine, findContainer(engine, name), next);
    return 0;
  },
});
