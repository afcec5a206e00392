/** Options that stand before the command: those of the docker CLI that mean something here. Those that choose a daemon are refused. */
import { resolve } from 'node:path';
import { JettisonError } from '#ground/base/errors.ts';
import type { LogLevel, Surroundings } from './command.ts';
import { unknownFlag } from './find-command.ts';
import { parseBoolean } from '#ground/base/boolean-word.ts';

type Settings = { readonly environment: NodeJS.ProcessEnv; readonly logLevel: LogLevel };
export type GlobalOptions = Settings & { readonly rest: readonly string[]; readonly shows: 'version' | 'help' | undefined };

const help = "Run 'jettison --help' for more information";
const levels: readonly LogLevel[] = ['debug', 'info', 'warn', 'error', 'fatal'];
const noDaemon =
  'Leave it out: jettison has no daemon, every command does its work on the machine where it runs. On another machine: ssh HOST jettison ...';

/** For help, beside `-v` and `--help`. */
export const globalOptionRows: readonly (readonly [string, string])[] = [
  ['    --config string', 'Folder of the docker CLI\'s config.json, where credentials are (default "~/.docker")'],
  ['-c, --context string', 'Only "default": there is no daemon to choose'],
  ['-D, --debug', 'Show where an error comes from'],
  ['-l, --log-level string', '"debug" as --debug, "info", "warn"; "error" and "fatal" leave notes out (default "info")'],
];

/** Takes the words up to the command. Throws `cli/unknown-flag`, `cli/flag-value`, `cli/not-built`. */
export function readGlobalOptions(words: readonly string[], around: Pick<Surroundings, 'environment' | 'currentFolder'>): GlobalOptions {
  let settings: Settings = { environment: around.environment, logLevel: 'info' };
  let index = 0;
  for (let word = words[0]; word !== undefined && word.startsWith('-') && word !== '-'; word = words[index]) {
    if (word === '--version' || word === '-v') return { ...settings, rest: [], shows: 'version' };
    if (word === '--help' || word === '-h') return { ...settings, rest: words.slice(index + 1), shows: 'help' };
    const { name, value } = splitFlag(word);
    const [flip, take] = [switches[name], takers[name]];
    if (flip !== undefined) settings = flip(settings, value);
    else if (take !== undefined) settings = take(settings, value ?? words[++index] ?? missing(name), around.currentFolder);
    else throw unknownFlag(word, 'jettison', help);
    index++;
  }
  return { ...settings, rest: words.slice(index), shows: undefined };
}

function splitFlag(word: string): { readonly name: string; readonly value: string | undefined } {
  if (!word.startsWith('--') && word.length > 2) return { name: word.slice(0, 2), value: word.slice(2).replace(/^=/u, '') };
  const equals = word.indexOf('=');
  return equals < 0 ? { name: word, value: undefined } : { name: word.slice(0, equals), value: word.slice(equals + 1) };
}

type Switch = (settings: Settings, value: string | undefined) => Settings;
type Taker = (settings: Settings, value: string, folder: string) => Settings;

const config: Taker = (settings, value, folder) => ({
  ...settings,
  environment: { ...settings.environment, DOCKER_CONFIG: resolve(folder, value) },
});
const logLevel: Taker = (settings, value) => {
  const level = levels.find((one) => one === value);
  if (level === undefined)
    throw new JettisonError('cli/bad-value', `Unable to parse logging level: ${value}`, { hint: `There is ${levels.join(', ')}` });
  return { ...settings, logLevel: level };
};
const context: Taker = (settings, value) => {
  if (value === 'default') return settings;
  throw new JettisonError('cli/no-context', `context "${value}": context not found`, { hint: 'There is one context, "default"' });
};
const refuse = (name: string) => (): never => {
  throw new JettisonError('cli/not-built', `"${name}" is not part of jettison`, { hint: noDaemon });
};
const refuseAll = <T>(names: readonly string[], make: (name: string) => T): Readonly<Record<string, T>> =>
  Object.fromEntries(names.map((name) => [name, make(name)]));

const debug: Switch = (settings, value = 'true') => {
  const isOn = parseBoolean(value);
  if (isOn === undefined)
    throw new JettisonError('cli/flag-value', `invalid argument "${value}" for "-D, --debug" flag: use "true" or "false"`);
  return isOn ? { ...settings, logLevel: 'debug' } : settings;
};
const switches: Readonly<Record<string, Switch>> = { '-D': debug, '--debug': debug, ...refuseAll(['--tls', '--tlsverify'], refuse) };
const takers: Readonly<Record<string, Taker>> = {
  '--config': config,
  '-c': context,
  '--context': context,
  '-l': logLevel,
  '--log-level': logLevel,
  ...refuseAll(['-H', '--host', '--tlscacert', '--tlscert', '--tlskey'], refuse),
};

function missing(name: string): never {
  throw new JettisonError('cli/flag-value', `flag needs an argument: ${name}`, {
    hint: `\nUsage:  jettison [OPTIONS] COMMAND [ARG...]\n\n${help}`,
  });
}
