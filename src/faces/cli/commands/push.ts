import { push } from '#engine/push.ts';
import type { PushRequest } from '#engine/image-requests.ts';
import { nameOf, parseReference, printReference, withDefaultTag, type Reference } from '#formats/oci/reference.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { parseTransport } from '#engine/transports.ts';
import { defineCommand, type Surroundings } from '../command.ts';
import { engineFor } from '../engine.ts';
import { badValue, choice, flag, parsed, text, type ValuesOf } from '../option.ts';
import { readRetries, retryOptions } from './retry-options.ts';
import { openTransferScreen, silentTransferScreen } from '../output/transfers.ts';

const pushOptions = {
  allTags: flag('all-tags', { short: 'a', help: 'Push all tags of an image to the repository' }),
  compression: choice('compression', {
    words: ['gzip', 'zstd', 'estargz', 'uncompressed'],
    initial: undefined,
    help: 'How layers that were built here are compressed (default gzip)',
  }),
  level: parsed(
    'compression-level',
    { value: 'int', initial: undefined, help: 'How hard it tries: gzip and estargz 1 to 9 (default 5), zstd 1 to 19 (default 3)' },
    parseLevel,
  ),
  origins: choice('origins', {
    words: ['min', 'max', 'false'],
    initial: 'false',
    help: 'Push the list of where each file came from, too (docs/blame.md): stages, lines and paths, or the instructions as well',
  }),
  platform: text('platform', { help: 'Only the image for this platform: "os/architecture[/variant]"' }),
  ...retryOptions,
  quiet: flag('quiet', { short: 'q', help: 'Only print the name of what was pushed' }),
};

type PushOptions = ValuesOf<typeof pushOptions>;

export const pushCommand = defineCommand({
  name: 'push',
  summary: 'Upload an image to a registry',
  usage: '[OPTIONS] NAME[:TAG] [TRANSPORT:PLACE]',
  options: pushOptions,
  notBuilt: 'disable-content-trust',
  arguments: [1, 2],
  async run({ options, arguments: [name = '', place] }, around, signal) {
    const { stdout } = around.streams;
    if (place !== undefined) return await pushElsewhere({ name, place }, options, around, signal);
    const typed = parseReference(name);
    const reference = withDefaultTag(typed);
    if (reference.digest !== undefined)
      throw new JettisonError('cli/usage', 'Cannot push a digest reference', { hint: 'Push a name with a tag' });
    if (options.allTags && typed.tag !== undefined)
      throw new JettisonError('cli/usage', "tag can't be used with --all-tags/-a", { hint: `Write "jettison push -a ${nameOf(typed)}"` });
    if (!options.quiet && !options.allTags && typed.tag === undefined) stdout.write(`Using default tag: ${reference.tag ?? ''}\n`);
    if (!options.quiet) stdout.write(`The push refers to repository [${nameOf(reference)}]\n`);
    await using engine = await engineFor(around, { network: readRetries(options) });
    for (const one of options.allTags ? tagsOf(engine.images.list(), reference) : [reference]) {
      const request = { reference: printReference(one), platform: options.platform, ...originsOf(options), ...compressionOf(options) };
      const pushed = await (async () => {
        using screen = options.quiet ? silentTransferScreen() : openTransferScreen(stdout, around);
        return await push(engine, request, screen.report, signal);
      })();
      stdout.write(options.quiet ? `${printReference(one)}\n` : `${one.tag ?? ''}: digest: ${pushed.digest} size: ${pushed.size}\n`);
    }
    return 0;
  },
});

/** All names of the store in the repository of `reference`, in order. Throws `image/not-found` where there is none. */
function tagsOf(images: readonly { readonly names: readonly string[] }[], reference: Reference): readonly Reference[] {
  const repository = nameOf(reference);
  const all = images.flatMap(({ names }) => names.map((name) => parseReference(name)));
  const found = all.filter((one) => nameOf(one) === repository && one.tag !== undefined);
  if (found.length > 0) return found.toSorted((one, other) => ((one.tag ?? '') < (other.tag ?? '') ? -1 : 1));
  throw new JettisonError('cli/no-such-repository', `An image does not exist locally with the tag: ${repository}`, {
    hint: '"jettison images" lists what is here',
  });
}

/** As buildah has it: the image goes to the place, whatever its name. */
async function pushElsewhere(
  { name, place }: { readonly name: string; readonly place: string },
  options: PushOptions,
  around: Surroundings,
  signal: AbortSignal,
): Promise<number> {
  const { stdout } = around.streams;
  const to = parseTransport(place, { folder: around.currentFolder, hint: 'place' }) ?? { kind: 'docker' as const, reference: place };
  if (options.origins !== 'false' && to.kind !== 'docker')
    throw new JettisonError('cli/usage', '"--origins" is for registries: beside a file or folder there is no place for it');
  const request = { reference: name, platform: options.platform, ...originsOf(options), ...compressionOf(options) };
  const { pushTo } = await import('#engine/push-to.ts');
  await using engine = await engineFor(around, { network: readRetries(options) });
  const pushed = await (async () => {
    using screen = options.quiet ? silentTransferScreen() : openTransferScreen(stdout, around);
    return await pushTo(engine, { to, request }, screen.report, signal);
  })();
  stdout.write(options.quiet ? `${place}\n` : `${place}: digest: ${pushed.digest} size: ${pushed.size}\n`);
  return 0;
}

const mostLevels = { gzip: 9, estargz: 9, zstd: 19, uncompressed: 0 } as const;

function parseLevel(word: string): number | undefined {
  if (/^[1-9]\d?$/u.test(word)) return Number(word);
  throw badValue('compression-level', word, 'use a whole number: 1 to 9 for gzip, 1 to 19 for zstd');
}

function originsOf({ origins }: Pick<PushOptions, 'origins'>): Pick<PushRequest, 'origins'> {
  return { origins: origins === 'false' ? undefined : origins };
}

/** Throws `cli/bad-value` for a level that the compression has not. */
function compressionOf({
  compression,
  level,
}: {
  readonly compression: keyof typeof mostLevels | undefined;
  readonly level: number | undefined;
}): Omit<PushRequest, 'reference'> {
  const most = mostLevels[compression ?? 'gzip'];
  if (level !== undefined && level > most) {
    const why = most === 0 ? '"uncompressed" has no levels' : `${compression ?? 'gzip'} has 1 to ${most}`;
    throw badValue('compression-level', String(level), why);
  }
  return { compression: compression === 'uncompressed' ? 'tar' : compression, ...(level === undefined ? {} : { level }) };
}
