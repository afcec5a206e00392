/** Help, made from the tables of commands and options. */
import { commandTable } from './commands.ts';
import type { Option } from './option.ts';

const lineWidth = 100;

/** What `jettison help` prints. */
export function generalHelp(): string {
  const rows = commandTable.filter((one) => !one.names[0]?.includes(' ')).map((one) => [one.names[0] ?? '', one.summary] as const);
  return [
    'Usage:  jettison [OPTIONS] COMMAND',
    '',
    'Builds container images of Dockerfiles and runs them, without a daemon',
    '',
    'Commands:',
    ...columns(rows),
    '',
    'Options:',
    ...columns([
      ['    --help', 'Print this help'],
      ['-v, --version', 'Print the version'],
    ]),
    '',
    'Run "jettison COMMAND --help" for the options of a command.',
    '',
  ].join('\n');
}

/** What `jettison COMMAND --help` prints. */
export function commandHelp(command: {
  readonly name: string;
  readonly summary: string;
  readonly usage: string;
  readonly options: Readonly<Record<string, Option<unknown>>>;
}): string {
  const names = commandTable.find((one) => one.names.includes(command.name))?.names ?? [];
  const options = Object.values(command.options).toSorted((a, b) => (a.long < b.long ? -1 : 1));
  return [
    `Usage:  jettison ${command.name} ${command.usage}`,
    '',
    command.summary,
    '',
    ...(names.length > 1 ? ['Aliases:', `  ${names.map((name) => `jettison ${name}`).join(', ')}`, ''] : []),
    ...(options.length > 0 ? ['Options:', ...columns(options.map((option) => [signature(option), option.help])), ''] : []),
  ].join('\n');
}

function signature(option: Option<unknown>): string {
  const names = option.short === undefined ? `    --${option.long}` : `-${option.short}, --${option.long}`;
  return option.valueName === undefined ? names : `${names} ${option.valueName}`;
}

/** Two columns; the second is wrapped between words. */
function columns(rows: readonly (readonly [string, string])[]): readonly string[] {
  const width = Math.max(...rows.map(([left]) => left.length)) + 3;
  return rows.flatMap(([left, right]) =>
    wrap(right, lineWidth - width - 2).map((line, index) => `  ${(index === 0 ? left : '').padEnd(width)}${line}`),
  );
}

function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
