/** `context`: docker's word for the daemon that a command speaks to. Here is one, which stands for this machine. */
import { JettisonError } from '#ground/base/errors.ts';
import { defineCommand } from '../command.ts';
import { flag, text } from '../option.ts';
import { goJson } from '#ground/base/go-json.ts';
import { formatRows } from '../output/rows.ts';
import { compileTemplate, unescapeFormat } from '../output/template.ts';

const titles = { Name: 'NAME', Description: 'DESCRIPTION', DockerEndpoint: 'DOCKER ENDPOINT', Current: 'CURRENT', Error: 'ERROR' };
const table = '{{.Name}}{{if .Current}} *{{end}}\t{{.Description}}\t{{.DockerEndpoint}}\t{{.Error}}';
const row = { Current: 'true', Description: 'This machine, without a daemon', DockerEndpoint: '', Error: '', Name: 'default' };

export const listContextsCommand = defineCommand({
  name: 'context ls',
  summary: 'List contexts (there is one)',
  usage: '[OPTIONS]',
  options: {
    format: text('format', { help: '"table", "table TEMPLATE", "json" or a Go template' }),
    quiet: flag('quiet', { short: 'q', help: 'Only show names' }),
  },
  arguments: [0, 0],
  run: async ({ options }, around) => {
    around.streams.stdout.write(options.quiet ? 'default\n' : printed(options.format));
    return await Promise.resolve(0);
  },
});

/** Only in JSON it is a truth value. */
function printed(format: string | undefined): string {
  if (format === 'json' || format === '{{json .}}') return `${JSON.stringify({ ...row, Current: true })}\n`;
  return formatRows([row], format, { titles: { ...titles, Current: '' }, table });
}

export const showContextCommand = defineCommand({
  name: 'context show',
  summary: 'Print the name of the context',
  usage: '',
  options: {},
  arguments: [0, 0],
  run: async (_, around) => {
    around.streams.stdout.write('default\n');
    return await Promise.resolve(0);
  },
});

export const useContextCommand = defineCommand({
  name: 'context use',
  summary: 'Set the context (there is one)',
  usage: 'CONTEXT',
  options: {},
  arguments: [1, 1],
  run: async ({ arguments: [name = ''] }, around) => {
    checkContext(name);
    around.streams.stdout.write('default\n');
    around.streams.stderr.write('Current context is now "default"\n');
    return await Promise.resolve(0);
  },
});

export const inspectContextCommand = defineCommand({
  name: 'context inspect',
  summary: 'Show what is known of contexts',
  usage: '[OPTIONS] [CONTEXT] [CONTEXT...]',
  options: { format: text('format', { short: 'f', help: '"json" or a Go template' }) },
  arguments: [0, Infinity],
  run: async ({ options: { format }, arguments: names }, around) => {
    for (const name of names) checkContext(name);
    const found = (names.length === 0 ? ['default'] : names).map((name) => ({
      Name: name,
      Metadata: {},
      Endpoints: {},
      TLSMaterial: {},
      Storage: {},
    }));
    const template = format === undefined || format === '' || format === 'json' ? undefined : compileTemplate(unescapeFormat(format));
    const shown =
      template === undefined ? `${goJson(found, format === 'json' ? 0 : 4)}\n` : found.map((one) => `${template(one)}\n`).join('');
    around.streams.stdout.write(shown);
    return await Promise.resolve(0);
  },
});

function checkContext(name: string): void {
  if (name === 'default') return;
  throw new JettisonError('cli/no-context', `context "${name}": context not found`, { hint: 'There is one context, "default"' });
}
