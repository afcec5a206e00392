/** From the command line to an exit code: finds the command, loads only that, turns Ctrl-C into an abort, prints an error once. */
import { version } from '#engine/version.ts';
import { cancelled } from '#ground/base/abort.ts';
import { JettisonError, systemCode } from '#ground/base/errors.ts';
import { suggest } from '#ground/base/human.ts';
import { commandTable, notBuiltCommands, type CommandEntry } from './commands.ts';
import type { Command, Streams, Surroundings } from './command.ts';

/** Runs one command line (without `node` and the program's name). Gives the exit code: 1 for an error, 70 for a bug of ours, 130 after Ctrl-C, 143 after SIGTERM. */
export async function runCli(words: readonly string[], environment: NodeJS.ProcessEnv, streams: Streams): Promise<number> {
  const around: Surroundings = { environment, currentFolder: process.cwd(), streams, now: Date.now };
  using interrupts = listenForInterrupts(streams);
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
    const code = printError(told, streams.stderr, command?.failureCode ?? 1);
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

type Interrupts = Disposable & {
  readonly signal: AbortSignal;
  /** What the process exits with when its work was cut short by a signal; undefined when it was not. */
  exitCode(): number | undefined;
};

/** The first SIGINT or SIGTERM asks the work to stop and clean up; the second one ends the process. A reader of the output that goes away asks to stop, too. */
function listenForInterrupts(streams: Streams): Interrupts {
  const controller = new AbortController();
  let code: number | undefined;
  const listen = (name: 'SIGINT' | 'SIGTERM', exitCode: number): Disposable => {
    const stop = (): void => {
      if (code !== undefined) process.exit(exitCode);
      code = exitCode;
      controller.abort(cancelled(`Cancelled by ${name}`));
    };
    process.on(name, stop);
    return { [Symbol.dispose]: () => void process.off(name, stop) };
  };
  streams.stdout.on(
    'error',
    onBrokenPipe(() => controller.abort(cancelled('The reader of the output went away'))),
  );
  streams.stderr.on(
    'error',
    onBrokenPipe(() => {}),
  );
  const all = new DisposableStack();
  all.use(listen('SIGINT', 130));
  all.use(listen('SIGTERM', 143));
  return { signal: controller.signal, exitCode: () => code, [Symbol.dispose]: () => all.dispose() };
}

/** A reader that went away is no error of ours; anything else is. */
function onBrokenPipe(gone: () => void): (error: Error) => void {
  return (error) => {
    if (systemCode(error) !== 'EPIPE') throw error;
    gone();
  };
}
