/** Help, made from the tables of commands and options. */
import { commandTable } from './commands.ts';
import { globalOptionRows } from './global-options.ts';
import { commonCommands, groupSummaries } from './groups.ts';
import type { Option } from './option.ts';

const lineWidth = 100;

/** What `jettison help` prints. */
export function generalHelp(): string {
  const single = commandTable.flatMap((one) => {
    const name = one.names.find((candidate) => !candidate.includes(' '));
    return name === undefined ? [] : [[name, one.summary] as const];
  });
  const common = commonCommands.flatMap((name) => single.filter(([one]) => one === name));
  const others = single.filter(([name]) => !commonCommands.includes(name)).toSorted(byName);
  const width = widthOf([...single, ...groups('')]);
  return [
    'Usage:  jettison [OPTIONS] COMMAND',
    '',
    'Builds container images of Dockerfiles and runs them, without a daemon',
    '',
    'Common Commands:',
    ...columns(common, width),
    '',
    'Management Commands:',
    ...columns(groups(''), width),
    '',
    'Commands:',
    ...columns(others, width),
    '',
    'Global Options:',
    ...columns([...globalOptionRows, ['-v, --version', 'Print the version'], ['    --help', 'Print this help']]),
    '',
    "Run 'jettison COMMAND --help' for more information on a command.",
    '',
  ].join('\n');
}

/** What `jettison image --help` prints, and `jettison image`. */
export function groupHelp(group: string): string {
  const members = commandTable.flatMap((entry) => {
    const name = entry.names.find((one) => one.startsWith(`${group} `) && !one.slice(group.length + 1).includes(' '));
    return name === undefined ? [] : [[name.slice(group.length + 1), entry.summary] as const];
  });
  const below = groups(`${group} `);
  const width = widthOf([...members, ...below]);
  return [
    `Usage:  jettison ${group} COMMAND`,
    '',
    groupSummaries[group] ?? '',
    '',
    ...(below.length === 0 ? [] : ['Management Commands:', ...columns(below, width), '']),
    'Commands:',
    ...columns(members.toSorted(byName), width),
    '',
    `Run 'jettison ${group} COMMAND --help' for more information on a command.`,
    '',
  ].join('\n');
}

type HelpRow = readonly [string, string];

/** Words right behind `prefix` that stand before commands, but for those that are commands themselves. */
function groups(prefix: string): readonly HelpRow[] {
  const words = commandTable.flatMap((entry) =>
    entry.names.flatMap((name) => {
      const rest = name.startsWith(prefix) ? name.slice(prefix.length).split(' ') : [];
      return rest.length > 1 ? [rest[0] ?? ''] : [];
    }),
  );
  const isCommand = (word: string): boolean => commandTable.some(({ names }) => names.includes(`${prefix}${word}`));
  return [...new Set(words)]
    .filter((word) => !isCommand(word))
    .map((word): HelpRow => [word, groupSummaries[`${prefix}${word}`] ?? ''])
    .toSorted(byName);
}

function byName(a: HelpRow, b: HelpRow): number {
  return a[0] < b[0] ? -1 : 1;
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
    ...(names.length > 1 ? ['Aliases:', ...wrap(aliases(names), lineWidth - 4).map((line) => `  ${line}`), ''] : []),
    ...(options.length > 0 ? ['Options:', ...columns(options.map((option) => [signature(option), option.help])), ''] : []),
  ].join('\n');
}

function signature(option: Option<unknown>): string {
  const names = option.short === undefined ? `    --${option.long}` : `-${option.short}, --${option.long}`;
  return option.valueName === undefined ? names : `${names} ${option.valueName}`;
}

/** As docker lists them: the management forms first. */
function aliases(names: readonly string[]): string {
  const long = names.filter((name) => name.includes(' '));
  return [...long, ...names.filter((name) => !name.includes(' '))].map((name) => `jettison ${name}`).join(', ');
}

function widthOf(rows: readonly HelpRow[]): number {
  return Math.max(...rows.map(([left]) => left.length));
}

/** Two columns; the second is wrapped between words. */
function columns(rows: readonly HelpRow[], leftWidth = widthOf(rows)): readonly string[] {
  const width = leftWidth + (rows.some(([left]) => left.includes('--')) ? 3 : 2);
  return rows.flatMap(([left, right]) =>
    wrap(right, lineWidth - width - 2).map((line, index) => `  ${(index === 0 ? left : '').padEnd(width)}${line}`.trimEnd()),
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
