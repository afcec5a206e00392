import { push } from '#engine/push.ts';
import type { PushRequest } from '#engine/image-requests.ts';
import { nameOf, parseReference, printReference, withDefaultTag } from '#formats/oci/reference.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { parseTransport } from '#engine/transports.ts';
import { defineCommand, type Surroundings } from '../command.ts';
import { engineFor } from '../engine.ts';
import { badValue, choice, flag, parsed, text, type ValuesOf } from '../option.ts';
import { readRetries, retryOptions } from './retry-options.ts';
import { openTransferScreen, silentTransferScreen } from '../output/transfers.ts';

const pushOptions = {
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
  notBuilt: 'a=all-tags disable-content-trust',
  arguments: [1, 2],
  async run({ options, arguments: [name = '', place] }, around, signal) {
    const { stdout } = around.streams;
    if (place !== undefined) return await pushElsewhere({ name, place }, options, around, signal);
    const reference = withDefaultTag(parseReference(name));
    if (reference.digest !== undefined)
      throw new JettisonError('cli/usage', 'Cannot push a digest reference', { hint: 'Push a name with a tag' });
    const request = { reference: name, platform: options.platform, ...compressionOf(options) };
    if (!options.quiet) stdout.write(`The push refers to repository [${nameOf(reference)}]\n`);
    await using engine = await engineFor(around, { network: readRetries(options) });
    const pushed = await (async () => {
      using screen = options.quiet ? silentTransferScreen() : openTransferScreen(stdout, around);
      return await push(engine, request, screen.report, signal);
    })();
    stdout.write(
      options.quiet ? `${printReference(reference)}\n` : `${reference.tag ?? ''}: digest: ${pushed.digest} size: ${pushed.size}\n`,
    );
    return 0;
  },
});

/** As buildah has it: the image goes to the place, whatever its name. */
async function pushElsewhere(
  { name, place }: { readonly name: string; readonly place: string },
  options: PushOptions,
  around: Surroundings,
  signal: AbortSignal,
): Promise<number> {
  const { stdout } = around.streams;
  const to = parseTransport(place, { folder: around.currentFolder, hint: 'place' }) ?? { kind: 'docker' as const, reference: place };
  const request = { reference: name, platform: options.platform, ...compressionOf(options) };
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
