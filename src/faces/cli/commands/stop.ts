import { restartContainer, stopContainer } from '#engine/container-life.ts';
import { defineCommand } from '../command.ts';
import { parsed, text } from '../option.ts';
import { readSeconds } from './container-options.ts';
import { forEachContainer } from './each-container.ts';

const options = {
  seconds: parsed<number | undefined>(
    'timeout',
    { short: 't', value: 'int', initial: undefined, help: 'Seconds to wait before killing the container' },
    (value) => readSeconds('timeout', value),
  ),
  /** Its older name. */
  time: parsed<number | undefined>('time', { value: 'int', initial: undefined, help: 'The same as --timeout' }, (value) =>
    readSeconds('time', value),
  ),
  signal: text('signal', { short: 's', help: 'Signal to send to the container' }),
};

export const stopCommand = defineCommand({
  name: 'stop',
  summary: 'Stop running containers',
  usage: '[OPTIONS] CONTAINER [CONTAINER...]',
  options,
  arguments: [1, Infinity],
  run: async ({ options: given, arguments: names }, around, signal) =>
    await forEachContainer(names, around, async (engine, container) => {
      await stopContainer(engine, container, { signal: given.signal, seconds: given.seconds ?? given.time }, signal);
    }),
});

export const restartCommand = defineCommand({
  name: 'restart',
  summary: 'Restart containers',
  usage: '[OPTIONS] CONTAINER [CONTAINER...]',
  options,
  arguments: [1, Infinity],
  run: async ({ options: given, arguments: names }, around, signal) =>
    await forEachContainer(names, around, async (engine, container) => {
      const request = { signal: given.signal, seconds: given.seconds ?? given.time };
      await restartContainer(engine, container, request, () => undefined, signal);
    }),
});
