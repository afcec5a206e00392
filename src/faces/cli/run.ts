/** From the command line to an exit code: reads what stands before the command, finds it, loads only that, turns Ctrl-C into an abort, prints an error once. */
import { version } from '#engine/version.ts';
import { createClock } from '#ground/base/clock.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { Command, LogLevel, Streams, Surroundings } from './command.ts';
import { findCommand } from './find-command.ts';
import { listenForInterrupts, type Interrupts } from './interrupts.ts';

/** As a shell tells of a program that SIGPIPE ended, which is how most programs learn that nobody reads them any more. */
const brokenPipe = 141;

/** Runs one command line (without `node` and the program's name). Gives the exit code: 1 for an error, 70 for a bug of ours, 130 after Ctrl-C, 143 after SIGTERM, 129 when the terminal went away, 141 when the reader of its output did. */
export async function runCli(words: readonly string[], environment: NodeJS.ProcessEnv, streams: Streams): Promise<number> {
  const around: Surroundings = { environment, currentFolder: process.cwd(), streams, now: createClock(), logLevel: 'info' };
  using interrupts = listenForInterrupts(streams, process);
  const code = await runWords(words, around, interrupts);
  const lost = await interrupts.delivered();
  if (lost === undefined || code !== 0) return code;
  const { printError } = await import('./output/error.ts');
  return printError(lost, streams.stderr, 1);
}

async function runWords(words: readonly string[], given: Surroundings, interrupts: Interrupts): Promise<number> {
  const { streams } = given;
  let command: Command | undefined;
  let logLevel: LogLevel = 'info';
  try {
    const line = words[0]?.startsWith('-') === true ? (await import('./global-options.ts')).readGlobalOptions(words, given) : undefined;
    if (line?.shows === 'version') return print(streams, `jettison version ${version}\n`);
    const around = line === undefined ? given : { ...given, environment: line.environment, logLevel: line.logLevel };
    logLevel = around.logLevel;
    const rest = line?.rest ?? words;
    if (line?.shows === 'help' || rest[0] === 'help')
      return await help(line?.shows === 'help' ? rest : rest.slice(1), around, interrupts.signal);
    // Asked by shells, who have no use for errors.
    if (rest[0] === '__complete') return print(streams, await (await import('./complete.ts')).completionLines(rest.slice(1), around));
    if (rest.length === 0) return printTo(streams.stderr, (await import('./help.ts')).generalHelp());
    const found = findCommand(rest);
    if (found.kind === 'group')
      return printTo(found.asked ? streams.stdout : streams.stderr, (await import('./help.ts')).groupHelp(found.name));
    command = await found.entry.load();
    return await command.run(found.rest, around, interrupts.signal);
  } catch (error) {
    if (interrupts.isUnread() && interrupts.exitCode() === undefined) return brokenPipe;
    const { mistakeCode, printError } = await import('./output/error.ts');
    const told = interrupts.signal.aborted && !(error instanceof JettisonError) ? interrupts.signal.reason : error;
    const code = printError(told, streams.stderr, mistakeCode(told) ?? command?.failureCode(told) ?? 1, logLevel === 'debug');
    return interrupts.exitCode() ?? code;
  }
}

function print(streams: Streams, text: string): number {
  return printTo(streams.stdout, text);
}

function printTo(output: Streams['stdout'], text: string): number {
  output.write(text);
  return 0;
}

/** `help`, `help image`, `help image ls`, `--help image ls`. */
async function help(words: readonly string[], around: Surroundings, signal: AbortSignal): Promise<number> {
  const { generalHelp, groupHelp } = await import('./help.ts');
  if (words.length === 0) return print(around.streams, generalHelp());
  const found = findCommand(words.filter((word) => !word.startsWith('-')));
  if (found.kind === 'group') return print(around.streams, groupHelp(found.name));
  return await (await found.entry.load()).run(['--help'], around, signal);
}
