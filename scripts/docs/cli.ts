/** docs/cli.md: the commands with their tables of options. */
import { splitNotBuilt, type Command } from '#faces/cli/command.ts';
import { commandTable, notBuiltCommands } from '#faces/cli/commands.ts';
import type { Option } from '#faces/cli/option.ts';
import { insteadOf, refusedCommands } from '#faces/cli/refused-commands.ts';

export async function makeCliPage(): Promise<string> {
  const sections: string[] = [];
  for (const { names, load } of commandTable) sections.push(printCommand(await load(), names));
  return `# The command line

<!-- Made by \`npm run docs\` from src/faces/cli: do not edit. -->

Commands and options have the names and meanings that the docker CLI gives them. What jettison does not have yet is refused by name, never ignored.

Exit codes: 0, 1 for an error, 125 for an option that is unknown or has a wrong value (1 where that is found later, as inside the lists of \`-o\`, \`--cache-from\` and the like), 70 for a bug of jettison, 130 after Ctrl-C, 143 after SIGTERM; \`run\` gives the container's own code, 125 to 127 when it could not
be started. Codes of errors: [errors.md](errors.md).

${sections.join('\n')}
## Not built yet

${[...notBuiltCommands]
  .toSorted()
  .map((name) => `\`${name}\``)
  .join(', ')}

## Not part of jettison

| docker's command | use instead |
| --- | --- |
${refusedCommands()
  .toSorted()
  .map((name) => `| \`${name}\` | ${cell(insteadOf(name.split(' '))?.hint ?? '')} |`)
  .join('\n')}
`;
}

function printCommand(command: Command, names: readonly string[]): string {
  const options = Object.values(command.options).toSorted((a, b) => (a.long < b.long ? -1 : 1));
  const aliases = names.filter((name) => name !== command.name).map((name) => `\`jettison ${name}\``);
  const refused = splitNotBuilt(command.notBuilt).map(({ long }) => `\`--${long}\``);
  return [
    `## ${command.name}\n`,
    `${command.summary}.\n`,
    `    jettison ${command.name} ${command.usage}\n`,
    ...(aliases.length === 0 ? [] : [`Also: ${aliases.join(', ')}\n`]),
    ...(options.length === 0 ? [] : ['| option | |', '| --- | --- |', ...options.map(printOption), '']),
    ...(refused.length === 0 ? [] : [`Not built yet: ${refused.join(', ')}\n`]),
  ].join('\n');
}

function printOption(option: Option<unknown>): string {
  const names = option.short === undefined ? `--${option.long}` : `-${option.short}, --${option.long}`;
  const signature = option.valueName === undefined ? names : `${names} ${option.valueName}`;
  return `| \`${cell(signature)}\` | ${cell(option.help)} |`;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('<', '&lt;');
}
