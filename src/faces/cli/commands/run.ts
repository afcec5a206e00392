import { run } from '#engine/run.ts';
import { isCode, JettisonError } from '#ground/base/errors.ts';
import { defineCommand } from '../command.ts';
import { engineFor } from '../engine.ts';
import { openTransferScreen, silentTransferScreen } from '../output/transfers.ts';
import { containerOptions, containerOptionsNotBuilt, createRequest } from './container-options.ts';

/** Exit codes of `docker run` when it is not the container that failed: no such command, one that cannot be run, anything else. */
function ownFailure(error: unknown): number {
  if (isCode(error, 'runtime/command-not-found')) return 127;
  return isCode(error, 'runtime/command-not-executable') ? 126 : 125;
}

export const runCommand = defineCommand({
  name: 'run',
  summary: 'Create and run a new container from an image',
  usage: '[OPTIONS] IMAGE [COMMAND] [ARG...]',
  options: containerOptions,
  notBuilt: `${containerOptionsNotBuilt} d=detach detach-keys sig-proxy`,
  arguments: [1, Infinity],
  optionsEndAtArgument: true,
  failureCode: ownFailure,
  async run({ options, arguments: words }, around, signal) {
    const { isolation } = options;
    const given = createRequest(options, words, around);
    const request = { ...given, stdinOnce: given.openStdin };
    if (request.attach.length > 0) throw new JettisonError('cli/not-built', '"--attach" is not built yet');
    if (request.restart.policy !== 'no') throw new JettisonError('cli/not-built', '"--restart" is not built yet');
    if (options.terminal && around.streams.stdin.isTTY !== true) {
      throw new JettisonError('cli/usage', 'The input device is not a terminal', { hint: 'Leave "-t" out' });
    }
    await using engine = await engineFor(around, isolation === undefined ? {} : { isolation });
    using screen = options.quiet ? silentTransferScreen() : openTransferScreen(around.streams.stderr, around);
    return await run(engine, request, screen.report, signal);
  },
});
