import { findTags, pull } from '#engine/pull.ts';
import type { Report } from '#formats/progress/event.ts';
import { familiarReference, nameOf, parseReference, printReference, withDefaultTag } from '#formats/oci/reference.ts';
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
    allTags: flag('all-tags', { short: 'a', help: 'Pull all tags of the repository' }),
    allPlatforms: flag('all-platforms', { help: 'The images for all platforms, and attestations: the whole index' }),
    platform: text('platform', { help: 'Which image of several: "os/architecture[/variant]"' }),
    ...retryOptions,
    quiet: flag('quiet', { short: 'q', help: 'Only print the name of what was pulled' }),
  },
  notBuilt: 'disable-content-trust',
  arguments: [1, 1],
  async run({ options, arguments: [given = ''] }, around, signal) {
    const { stdout } = around.streams;
    const transport = parseTransport(given, { folder: around.currentFolder, hint: 'image' });
    if (transport !== undefined && transport.kind !== 'docker') return await pullLocal(transport, options, around, signal);
    const name = transport?.reference ?? given;
    const typed = parseReference(name);
    if (options.allTags && (typed.tag !== undefined || typed.digest !== undefined))
      throw new JettisonError('cli/usage', "tag can't be used with --all-tags/-a", { hint: `Write "jettison pull -a ${nameOf(typed)}"` });
    const say = (line: string): void => void (options.quiet || stdout.write(`${line}\n`));
    const meant = options.allTags ? typed : withDefaultTag(typed);
    if (!options.allTags && typed.tag === undefined && typed.digest === undefined) say(`Using default tag: ${meant.tag ?? ''}`);
    await using engine = await engineFor(around, { network: readRetries(options) });
    const withScreen = async <T>(work: (report: Report) => Promise<T>): Promise<T> => {
      using screen = options.quiet ? silentTransferScreen() : openTransferScreen(stdout, around);
      return await work(screen.report);
    };
    const all = options.allTags ? await withScreen(async (report) => await findTags(engine, name, report, signal)) : [meant];
    let isNew = false;
    for (const reference of all) {
      say(`${reference.tag ?? reference.digest ?? ''}: Pulling from ${reference.repository}`);
      const request = { reference: printReference(reference), platform: options.platform, allPlatforms: options.allPlatforms };
      const pulled = await withScreen(async (report) => await pull(engine, request, report, signal));
      say(`Digest: ${pulled.digest}`);
      isNew ||= !pulled.upToDate;
    }
    say(`Status: ${isNew ? 'Downloaded newer image' : 'Image is up to date'} for ${familiarReference(meant)}`);
    stdout.write(`${printReference(meant)}\n`);
    return 0;
  },
});

type PullOptions = {
  readonly allTags: boolean;
  readonly allPlatforms: boolean;
  readonly platform: string | undefined;
  readonly quiet: boolean;
};

/** The names that the image has there, else its id, as `load` and `pull` print them. */
async function pullLocal(
  from: LocalTransport,
  { allTags, allPlatforms, platform, quiet }: PullOptions,
  around: Surroundings,
  signal: AbortSignal,
): Promise<number> {
  const forRegistries = allTags ? 'all-tags' : allPlatforms ? 'all-platforms' : undefined;
  if (forRegistries !== undefined)
    throw new JettisonError('cli/usage', `"--${forRegistries}" asks a registry`, { hint: 'Of a file or folder all that it has is read' });
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
