import { inspect } from '#engine/inspect.ts';
import type { InspectKind } from '#engine/info-requests.ts';
import type { Json } from '#ground/base/canonical-json.ts';
import { defineCommand, type Command } from '../command.ts';
import { engineFor } from '../engine.ts';
import { choice, text } from '../option.ts';
import { goJson } from '../output/go-json.ts';
import { compileTemplate, unescapeFormat } from '../output/template.ts';
import { forEachName } from './for-each-name.ts';

const format = text('format', { short: 'f', help: '"json" or a Go template for each one' });
const types = ['image', 'container', 'network', 'volume'] as const;

export const inspectCommand = defineCommand({
  name: 'inspect',
  summary: 'Show what is known of containers, images, networks and volumes',
  usage: '[OPTIONS] NAME|ID [NAME|ID...]',
  options: { format, type: choice('type', { words: types, initial: undefined, help: 'Only look among these' }) },
  notBuilt: 's=size',
  arguments: [1, Infinity],
  run: async ({ options, arguments: names }, around) => await show({ names, format: options.format, kind: options.type }, around),
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
    run: async ({ options, arguments: names }, around) => await show({ names, format: options.format, kind }, around),
  });
}

type Wanted = { readonly names: readonly string[]; readonly format: string | undefined; readonly kind: InspectKind | undefined };

/** What was found is printed, also when some names were not. */
async function show(wanted: Wanted, around: Parameters<Command['run']>[1]): Promise<number> {
  const template =
    wanted.format === undefined || wanted.format === '' || wanted.format === 'json'
      ? undefined
      : compileTemplate(unescapeFormat(wanted.format));
  await using engine = await engineFor(around);
  const found: Json[] = [];
  const code = await forEachName(wanted.names, around.streams, async (name) => {
    const value = await inspect(engine, name, wanted.kind);
    if (template) around.streams.stdout.write(`${template(value)}\n`);
    else found.push(value);
  });
  if (!template) around.streams.stdout.write(`${goJson(found, wanted.format === 'json' ? 0 : 4)}\n`);
  return code;
}
