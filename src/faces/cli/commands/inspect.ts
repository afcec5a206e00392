import { inspect, inspectForPlatform } from '#engine/inspect.ts';
import { defineCommand } from '../command.ts';
import { choice, flag, text } from '../option.ts';
import { inspectEach } from './inspect-each.ts';

const format = text('format', { short: 'f', help: '"json" or a Go template for each one' });
const size = flag('size', { short: 's', help: 'Display total file sizes of containers' });
const types = ['image', 'container', 'network', 'volume'] as const;

export const inspectCommand = defineCommand({
  name: 'inspect',
  summary: 'Show what is known of containers, images, networks and volumes',
  usage: '[OPTIONS] NAME|ID [NAME|ID...]',
  options: { format, size, type: choice('type', { words: types, initial: undefined, help: 'Only look among these' }) },
  touchesSnapshots: (options) => options.size,
  arguments: [1, Infinity],
  run: async ({ options, arguments: names }, around) =>
    await inspectEach(
      { names, format: options.format },
      around,
      async (engine, name) => await inspect(engine, name, options.type, options),
    ),
});

export const inspectImageCommand = defineCommand({
  name: 'image inspect',
  summary: 'Show what is known of images',
  usage: '[OPTIONS] IMAGE [IMAGE...]',
  options: { format, platform: text('platform', { help: 'Of images for several platforms: "os/architecture[/variant]"' }) },
  arguments: [1, Infinity],
  run: async ({ options, arguments: names }, around) =>
    await inspectEach({ names, format: options.format }, around, async (engine, name) =>
      options.platform === undefined ? await inspect(engine, name, 'image') : inspectForPlatform(engine, name, options.platform),
    ),
});

export const inspectContainerCommand = defineCommand({
  name: 'container inspect',
  summary: 'Show what is known of containers',
  usage: '[OPTIONS] CONTAINER [CONTAINER...]',
  options: { format, size },
  touchesSnapshots: (options) => options.size,
  arguments: [1, Infinity],
  run: async ({ options, arguments: names }, around) =>
    await inspectEach({ names, format: options.format }, around, async (engine, name) => await inspect(engine, name, 'container', options)),
});
