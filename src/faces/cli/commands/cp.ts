import { resolve } from 'node:path';
import { copyFrom } from '#engine/copy-from.ts';
import { copyTo } from '#engine/copy-to.ts';
import type { Copied } from '#engine/copy-requests.ts';
import type { Report } from '#formats/progress/event.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { formatSize } from '#ground/base/human.ts';
import { cleanPath, parseCopyArgument } from '#engine/copy-rules.ts';
import { defineCommand, type Surroundings } from '../command.ts';
import { engineFor } from '../engine.ts';
import { flag, text, type Option } from '../option.ts';
import { archiveWriter } from '../output/archive-writer.ts';
import { openTransferScreen } from '../output/transfers.ts';

/** Undefined: as the docker CLI does, quiet unless stdout is a terminal. */
const quiet: Option<boolean | undefined> = {
  ...flag('quiet', { short: 'q', help: 'Suppress the line that says what was copied (there is none unless stdout is a terminal)' }),
  initial: undefined,
};

export const cpCommand = defineCommand({
  name: 'cp',
  summary: 'Copy files/folders between a container and the local filesystem',
  usage:
    '[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n       jettison cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH\n       jettison cp [OPTIONS] --from IMAGE SRC_PATH DEST_PATH|-',
  options: {
    archive: flag('archive', { short: 'a', help: 'Archive mode (copy all uid/gid information)' }),
    from: text('from', { value: 'image', help: 'Copy out of this image, as "COPY --from" does: SRC_PATH is a path in it' }),
    followLink: flag('follow-link', { short: 'L', help: 'Always follow symlinks in SRC_PATH' }),
    platform: text('platform', { help: 'With "--from": which image of several, "os/architecture[/variant]"' }),
    quiet,
  },
  arguments: [2, 2],
  async run({ options, arguments: [from = '', to = ''] }, around, signal) {
    if (from === '') throw new JettisonError('cli/usage', 'source can not be empty');
    if (to === '') throw new JettisonError('cli/usage', 'destination can not be empty');
    const image = imageOf(options);
    const [source, destination] =
      image === undefined
        ? [parseCopyArgument(from), parseCopyArgument(to)]
        : // Paths may hold colons: no container is meant.
          [
            { container: undefined, path: from },
            { container: undefined, path: to },
          ];
    await using engine = await engineFor(around);
    using screen = openTransferScreen(around.streams.stderr, around);
    const copied = await copy();
    if (!isQuiet(options.quiet, around) && destination.path !== '-') around.streams.stderr.write(summary(copied));
    return 0;

    async function copy(): Promise<Copied> {
      const report: Report = screen.report;
      const { followLink } = options;
      if (source.container !== undefined && destination.container !== undefined)
        throw new JettisonError('cli/usage', 'copying between containers is not supported', {
          hint: 'Copy to a folder of this machine first',
        });
      const place = image ?? (source.container === undefined ? undefined : ({ kind: 'container', name: source.container } as const));
      if (place !== undefined) {
        const target = destination.path === '-' ? archiveWriter(around, signal) : localPath(destination.path, around);
        return await copyFrom(engine, { source: place, path: source.path, followLink, to: target }, report, signal);
      }
      if (destination.container === undefined) throw new JettisonError('cli/usage', 'must specify at least one container source');
      const stdin: AsyncIterable<Uint8Array> = around.streams.stdin;
      const given = source.path === '-' ? stdin : localPath(source.path, around);
      const request = { container: destination.container, path: destination.path, followLink, keepsOwners: options.archive, from: given };
      return await copyTo(engine, request, report, signal);
    }
  },
});

/** A name of an image may hold colons of its own, and a container may be called like any prefix: so an image is no part of the path. Throws `cli/usage`. */
function imageOf({ from, platform }: { readonly from: string | undefined; readonly platform: string | undefined }) {
  if (from !== undefined) return { kind: 'image', name: from, platform } as const;
  if (platform !== undefined) throw new JettisonError('cli/usage', '"--platform" chooses an image: it needs "--from"');
  return undefined;
}

function localPath(path: string, { currentFolder }: Surroundings): string {
  return cleanPath(path, resolve(currentFolder));
}

function isQuiet(asked: boolean | undefined, { streams }: Surroundings): boolean {
  return asked ?? streams.stdout.isTTY !== true;
}

function summary({ content, transferred, to }: Copied): string {
  const sizes = content === transferred ? formatSize(content) : `${formatSize(content)} (transferred ${formatSize(transferred)})`;
  return `Successfully copied ${sizes} to ${to}\n`;
}
