import { inspect } from '#engine/inspect.ts';
import type { InspectKind } from '#engine/info-requests.ts';
import { defineCommand, type Command } from '../command.ts';
import { choice, text } from '../option.ts';
import { inspectEach } from './inspect-each.ts';

const format = text('format', { short: 'f', help: '"json" or a Go template for each one' });
const types = ['image', 'container', 'network', 'volume'] as const;

export const inspectCommand = defineCommand({
  name: 'inspect',
  summary: 'Show what is known of containers, images, networks and volumes',
  usage: '[OPTIONS] NAME|ID [NAME|ID...]',
  options: { format, type: choice('type', { words: types, initial: undefined, help: 'Only look among these' }) },
  notBuilt: 's=size',
  arguments: [1, Infinity],
  run: async ({ options, arguments: names }, around) =>
    await inspectEach({ names, format: options.format }, around, async (engine, name) => await inspect(engine, name, options.type)),
});

export const inspectImageCommand = inspectKind('image', 'Show what is known of images');
export const inspectContainerCommand = inspectKind('container', 'Show what is known of containers');

function inspectKind(kind: Extract<InspectKind, 'image' | 'container'>, summary: string): Command {
  return defineCommand({
    name: `${kind} inspect`,
    summary,
    usage: `[OPTIONS] ${kind.toUpperCase()} [${kind.toUpperCase()}...]`,
    options: { format },
    notBuilt: 's=size platform',
    arguments: [1, Infinity],
    run: async ({ options, arguments: names }, around) =>
      await inspectEach({ names, format: options.format }, around, async (engine, name) => await inspect(engine, name, kind)),
  });
}
