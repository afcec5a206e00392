import { push } from '#engine/push.ts';
import { nameOf, parseReference, printReference, withDefaultTag } from '#formats/oci/reference.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { defineCommand } from '../command.ts';
import { engineFor } from '../engine.ts';
import { choice, flag } from '../option.ts';
import { readRetries, retryOptions } from './retry-options.ts';
import { openTransferScreen, silentTransferScreen } from '../output/transfers.ts';

export const pushCommand = defineCommand({
  name: 'push',
  summary: 'Upload an image to a registry',
  usage: '[OPTIONS] NAME[:TAG]',
  options: {
    compression: choice('compression', { words: ['gzip', 'zstd'], initial: undefined, help: 'How layers are compressed (default gzip)' }),
    ...retryOptions,
    quiet: flag('quiet', { short: 'q', help: 'Only print the name of what was pushed' }),
  },
  notBuilt: 'a=all-tags disable-content-trust platform',
  arguments: [1, 1],
  async run({ options, arguments: [name = ''] }, around, signal) {
    const { stdout } = around.streams;
    const reference = withDefaultTag(parseReference(name));
    if (reference.digest !== undefined)
      throw new JettisonError('cli/usage', 'Cannot push a digest reference', { hint: 'Push a name with a tag' });
    if (!options.quiet) stdout.write(`The push refers to repository [${nameOf(reference)}]\n`);
    await using engine = await engineFor(around, { network: readRetries(options) });
    const pushed = await (async () => {
      using screen = options.quiet ? silentTransferScreen() : openTransferScreen(stdout, around);
      return await push(engine, { reference: name, compression: options.compression }, screen.report, signal);
    })();
    stdout.write(
      options.quiet ? `${printReference(reference)}\n` : `${reference.tag ?? ''}: digest: ${pushed.digest} size: ${pushed.size}\n`,
    );
    return 0;
  },
});
