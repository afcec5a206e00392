import { isUp } from '#engine/containers.ts';
import { findContainer } from '#engine/find-container.ts';
import { startContainer } from '#engine/launch.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { defineCommand } from '../command.ts';
import { usualDetachKeys } from '../detach-keys.ts';
import { engineFor } from '../engine.ts';
import { flag, text } from '../option.ts';
import { openTransferScreen } from '../output/transfers.ts';
import { attachTo, startAttached } from './container-attach.ts';
import { forEachName } from './for-each-name.ts';

export const startCommand = defineCommand({
  name: 'start',
  summary: 'Start containers',
  usage: '[OPTIONS] CONTAINER [CONTAINER...]',
  options: {
    attach: flag('attach', { short: 'a', help: 'Attach STDOUT and STDERR and pass signals on' }),
    detachKeys: text('detach-keys', { help: 'Keys that leave a container with a terminal running (default "ctrl-p,ctrl-q")' }),
    interactive: flag('interactive', { short: 'i', help: "Attach the container's STDIN" }),
  },
  notBuilt: 'checkpoint checkpoint-dir',
  arguments: [1, Infinity],
  async run({ options, arguments: names }, around, signal) {
    await using engine = await engineFor(around);
    using screen = openTransferScreen(around.streams.stderr, around);
    if (!options.attach && !options.interactive) {
      return await forEachName(names, around.streams, async (name) => {
        await startContainer(engine, findContainer(engine, name), screen.report, signal);
        around.streams.stdout.write(`${name}\n`);
      });
    }
    const [name = '', ...others] = names;
    if (others.length > 0) throw new JettisonError('cli/usage', 'You cannot start and attach multiple containers at once');
    const container = findContainer(engine, name);
    const attaching = {
      stdin: options.interactive,
      stdout: true,
      stderr: true,
      detachKeys: options.detachKeys ?? usualDetachKeys,
      passesSignals: !container.spec.terminal,
    };
    if (isUp(container.state)) return await attachTo(engine, container, attaching, around, signal);
    return await startAttached(engine, container, { attaching, report: screen.report }, around, signal);
  },
});
