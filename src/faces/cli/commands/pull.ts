import { pull } from '#engine/pull.ts';
import { familiarReference, parseReference, nameOf, withDefaultTag } from '#formats/oci/reference.ts';
import { defineCommand } from '../command.ts';
import { engineFor } from '../engine.ts';
import { flag, text } from '../option.ts';
import { readRetries, retryOptions } from './retry-options.ts';
import { openTransferScreen, silentTransferScreen } from '../output/transfers.ts';

export const pullCommand = defineCommand({
  name: 'pull',
  summary: 'Download an image from a registry',
  usage: '[OPTIONS] NAME[:TAG|@DIGEST]',
  options: {
    allPlatforms: flag('all-platforms', { help: 'The images for all platforms, and attestations: the whole index' }),
    platform: text('platform', { help: 'Which image of several: "os/architecture[/variant]"' }),
    ...retryOptions,
    quiet: flag('quiet', { short: 'q', help: 'Only print the name of what was pulled' }),
  },
  notBuilt: 'a=all-tags disable-content-trust',
  arguments: [1, 1],
  async run({ options, arguments: [name = ''] }, around, signal) {
    const { stdout } = around.streams;
    const typed = parseReference(name);
    const reference = withDefaultTag(typed);
    const say = (line: string): void => void (options.quiet || stdout.write(`${line}\n`));
    if (typed.tag === undefined && typed.digest === undefined) say(`Using default tag: ${reference.tag ?? ''}`);
    say(`${reference.tag ?? reference.digest ?? ''}: Pulling from ${nameOf(reference).replace(/^docker\.io\//u, '')}`);
    await using engine = await engineFor(around, { network: readRetries(options) });
    const pulled = await (async () => {
      using screen = options.quiet ? silentTransferScreen() : openTransferScreen(stdout, around);
      return await pull(engine, { reference: name, platform: options.platform, allPlatforms: options.allPlatforms }, screen.report, signal);
    })();
    say(`Digest: ${pulled.digest}`);
    say(`Status: ${pulled.upToDate ? 'Image is up to date' : 'Downloaded newer image'} for ${familiarReference(reference)}`);
    stdout.write(`${pulled.reference}\n`);
    return 0;
  },
});
