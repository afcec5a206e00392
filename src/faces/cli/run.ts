/** From the command line to an exit code: finds the command, loads only that, turns Ctrl-C into an abort, prints an error once. */
import { version } from '#engine/version.ts';
import { createClock } from '#ground/base/clock.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { suggest } from '#ground/base/human.ts';
import { commandTable, notBuiltCommands, type CommandEntry } from './commands.ts';
import type { Command, Streams, Surroundings } from './command.ts';
import { listenForInterrupts, type Interrupts } from './interrupts.ts';

/** Runs one command line (without `node` and the program's name). Gives the exit code: 1 for an error, 70 for a bug of ours, 130 after Ctrl-C, 143 after SIGTERM, 129 when the terminal went away. */
export async function runCli(words: readonly string[], environment: NodeJS.ProcessEnv, streams: Streams): Promise<number> {
  const around: Surroundings = { environment, currentFolder: process.cwd(), streams, now: createClock() };
  using interrupts = listenForInterrupts(streams, process);
  const code = await runWords(words, around, interrupts);
  const lost = await interrupts.delivered();
  if (lost === undefined || code !== 0) return code;
  const { printError } = await import('./output/error.ts');
  return printError(lost, streams.stderr, 1);
}

async function runWords(words: readonly string[], around: Surroundings, interrupts: Interrupts): Promise<number> {
  const { streams } = around;
  let command: Command | undefined;
  try {
    const [first = '--help'] = words;
    if (first === '--version' || first === '-v') return print(streams, `jettison version ${version}\n`);
    if (first === '--help' || first === '-h' || first === 'help') return await help(words.slice(1), around, interrupts.signal);
    const found = findCommand(words);
    command = await found.entry.load();
    return await command.run(found.rest, around, interrupts.signal);
  } catch (error) {
    const { printError } = await import('./output/error.ts');
    const told = interrupts.signal.aborted && !(error instanceof JettisonError) ? interrupts.signal.reason : error;
    const code = printError(told, streams.stderr, command?.failureCode(told) ?? 1);
    return interrupts.exitCode() ?? code;
  }
}

function print(streams: Streams, text: string): number {
  streams.stdout.write(text);
  return 0;
}

async function help(words: readonly string[], around: Surroundings, signal: AbortSignal): Promise<number> {
  if (words.length > 0) return await (await findCommand(words).entry.load()).run(['--help'], around, signal);
  const { generalHelp } = await import('./help.ts');
  return print(around.streams, generalHelp());
}

/** The entry for the first word or the first two, and the words behind. */
function findCommand(words: readonly string[]): { readonly entry: CommandEntry; readonly rest: readonly string[] } {
  for (const length of [2, 1]) {
    const name = words.slice(0, length).join(' ');
    const entry = commandTable.find((one) => one.names.includes(name));
    if (entry) return { entry, rest: words.slice(length) };
  }
  throw unknownCommand(words);
}

function unknownCommand(words: readonly string[]): JettisonError {
  const [first = '', second = ''] = words;
  const hint = 'See "jettison --help"';
  if (first.startsWith('-')) return new JettisonError('cli/unknown-flag', `Unknown flag: ${first}`, { hint });
  const known = [...new Set(commandTable.flatMap((one) => one.names))];
  const isGroup = known.some((name) => name.startsWith(`${first} `));
  if (isGroup && (second === '' || second.startsWith('-'))) {
    const members = known.filter((name) => name.startsWith(`${first} `)).map((name) => `"${name}"`);
    return new JettisonError('cli/usage', `"jettison ${first}" needs a command behind it`, { hint: `There is ${members.join(', ')}` });
  }
  const name = isGroup ? `${first} ${second}` : first;
  if (notBuiltCommands.has(name)) return new JettisonError('cli/not-built', `"jettison ${name}" is not built yet`, { hint });
  const near = suggest(name, known);
  return new JettisonError('cli/unknown-command', `Unknown command "${name}"`, {
    hint: near === undefined ? hint : `Did you mean "${near}"? ${hint}`,
  });
}
