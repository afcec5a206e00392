import { pull } from '#engine/pull.ts';
import { familiarReference, parseReference, nameOf, withDefaultTag } from '#formats/oci/reference.ts';
import { parseTransport, type LocalTransport } from '#engine/transports.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { defineCommand, type Surroundings } from '../command.ts';
import { engineFor } from '../engine.ts';
import { flag, text } from '../option.ts';
import { readRetries, retryOptions } from './retry-options.ts';
import { openTransferScreen, silentTransferScreen } from '../output/transfers.ts';

export const pullCommand = defineCommand({
  name: 'pull',
  summary: 'Download an image from a registry',
  usage: '[OPTIONS] NAME[:TAG|@DIGEST]|TRANSPORT:PLACE',
  options: {
    allPlatforms: flag('all-platforms', { help: 'The images for all platforms, and attestations: the whole index' }),
    platform: text('platform', { help: 'Which image of several: "os/architecture[/variant]"' }),
    ...retryOptions,
    quiet: flag('quiet', { short: 'q', help: 'Only print the name of what was pulled' }),
  },
  notBuilt: 'a=all-tags disable-content-trust',
  arguments: [1, 1],
  async run({ options, arguments: [given = ''] }, around, signal) {
    const { stdout } = around.streams;
    const transport = parseTransport(given, { folder: around.currentFolder, hint: 'image' });
    if (transport !== undefined && transport.kind !== 'docker') return await pullLocal(transport, options, around, signal);
    const name = transport?.reference ?? given;
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

/** The names that the image has there, else its id, as `load` and `pull` print them. */
async function pullLocal(
  from: LocalTransport,
  { allPlatforms, platform, quiet }: { readonly allPlatforms: boolean; readonly platform: string | undefined; readonly quiet: boolean },
  around: Surroundings,
  signal: AbortSignal,
): Promise<number> {
  if (allPlatforms)
    throw new JettisonError('cli/usage', '"--all-platforms" asks a registry', { hint: 'Of a file or folder all that it has is read' });
  const { stdout } = around.streams;
  const { pullFrom } = await import('#engine/pull-from.ts');
  await using engine = await engineFor(around);
  const loaded = await (async () => {
    using screen = quiet ? silentTransferScreen() : openTransferScreen(stdout, around);
    return await pullFrom(engine, { from, platform }, screen.report, signal);
  })();
  for (const { id, names } of loaded) stdout.write((names.length > 0 ? names : [id]).map((one) => `${one}\n`).join(''));
  return 0;
}
