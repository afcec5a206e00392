import { execFailureCode, execInContainer, type ExecProcess } from '#engine/exec-container.ts';
import { findContainer } from '#engine/find-container.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { terminalSize } from '../attached.ts';
import { defineCommand } from '../command.ts';
import { readDetachKeys, usualDetachKeys } from '../detach-keys.ts';
import { engineFor } from '../engine.ts';
import { flag, list, text } from '../option.ts';
import { withEnvironment } from '../option-values.ts';
import { passSignals, relayTerminal } from '../own-terminal.ts';
import { checkFolder } from './container-options.ts';
import { readLineFiles } from './line-files.ts';

const usualSize = { rows: 24, columns: 80 };

export const execCommand = defineCommand({
  name: 'exec',
  summary: 'Execute a command in a running container',
  usage: '[OPTIONS] CONTAINER COMMAND [ARG...]',
  options: {
    detach: flag('detach', { short: 'd', help: 'Detached mode: run command in the background' }),
    detachKeys: text('detach-keys', { help: 'Keys that leave a command with a terminal running (default "ctrl-p,ctrl-q")' }),
    environment: list('env', { short: 'e', help: 'Set environment variables: "NAME=VALUE", or "NAME" to pass one on' }),
    environmentFiles: list('env-file', { value: 'list', help: 'Read in a file of environment variables' }),
    interactive: flag('interactive', { short: 'i', help: 'Keep STDIN open' }),
    privileged: flag('privileged', { help: 'Give extended privileges to the command' }),
    terminal: flag('tty', { short: 't', help: 'Give the command a terminal' }),
    user: text('user', { short: 'u', help: 'Username or UID (format: "<name|uid>[:<group|gid>]")' }),
    workingDirectory: text('workdir', { short: 'w', help: 'Working directory inside the container' }),
  },
  arguments: [2, Infinity],
  optionsEndAtArgument: true,
  failureCode: execFailureCode,
  async run({ options, arguments: [name = '', ...words] }, around, signal) {
    const { interactive, terminal, detach } = options;
    const isTerminal = around.streams.stdin.isTTY === true;
    if (!detach && terminal && interactive && !isTerminal)
      throw new JettisonError('cli/no-terminal', 'the input device is not a TTY', { hint: 'Leave "-t" out' });
    const detachKeys = options.detachKeys ?? usualDetachKeys;
    readDetachKeys(detachKeys);
    const environment = [
      ...readLineFiles('env-file', options.environmentFiles, (variable) => around.environment[variable]),
      ...withEnvironment(options.environment, around.environment),
    ];
    let exec: ExecProcess;
    {
      await using engine = await engineFor(around);
      const wish = {
        arguments: words,
        environment,
        user: options.user,
        workingDirectory: checkFolder(options.workingDirectory),
        isPrivileged: options.privileged,
        terminal: terminal ? (terminalSize(around.streams) ?? usualSize) : undefined,
        stdin: interactive && !detach,
        isDetached: detach,
      };
      exec = await execInContainer(engine, findContainer(engine, name), wish, signal);
    }
    if (detach) {
      await exec.started;
      exec.leave();
      return 0;
    }
    if (!terminal) {
      using passing = new DisposableStack();
      passing.use(passSignals((sent) => exec.signal(sent)));
      return await exec.ended;
    }
    const end = await relayTerminal(exec, { stdin: interactive, detachKeys }, around.streams);
    if (end !== 'detached') return end;
    around.streams.stderr.write('read escape sequence\n');
    return 0;
  },
});
