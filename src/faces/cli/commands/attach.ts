import { findContainer } from '#engine/find-container.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { defineCommand } from '../command.ts';
import { usualDetachKeys } from '../detach-keys.ts';
import { engineFor } from '../engine.ts';
import { flag, text } from '../option.ts';
import { attachTo, checkTerminal } from './container-attach.ts';

export const attachCommand = defineCommand({
  name: 'attach',
  summary: 'Attach standard input, output and error to a running container',
  usage: '[OPTIONS] CONTAINER',
  options: {
    detachKeys: text('detach-keys', { help: 'Keys that leave a container with a terminal running (default "ctrl-p,ctrl-q")' }),
    noStdin: flag('no-stdin', { help: 'Do not attach STDIN' }),
    signals: flag('sig-proxy', { help: 'Pass signals on to the container' }, true),
  },
  arguments: [1, 1],
  async run({ options, arguments: [name = ''] }, around, signal) {
    await using engine = await engineFor(around);
    const container = findContainer(engine, name);
    if (container.state.kind === 'paused')
      throw new JettisonError('cli/usage', 'You cannot attach to a paused container, unpause it first');
    if (container.state.kind === 'restarting')
      throw new JettisonError('cli/usage', 'You cannot attach to a restarting container, wait until it is running');
    if (container.state.kind !== 'running')
      throw new JettisonError('cli/usage', 'You cannot attach to a stopped container, start it first');
    const attaching = {
      stdin: !options.noStdin,
      stdout: true,
      stderr: true,
      detachKeys: options.detachKeys ?? usualDetachKeys,
      passesSignals: options.signals,
    };
    checkTerminal(container, attaching.stdin, around.streams);
    return await attachTo(engine, container, attaching, around, signal);
  },
});
