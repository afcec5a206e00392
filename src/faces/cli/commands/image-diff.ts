/** `image diff`, in the form that podman gives it. */
import { diffImage } from '#engine/image-files.ts';
import type { FileChange } from '#engine/container-diff.ts';
import { defineCommand } from '../command.ts';
import { engineFor } from '../engine.ts';
import { choice } from '../option.ts';
import { goJson } from '#ground/base/go-json.ts';
import { openTransferScreen } from '../output/transfers.ts';
import { changeLines } from './diff.ts';

export const imageDiffCommand = defineCommand({
  name: 'image diff',
  summary: 'List the files that an image changes in the layers below it, or from one image to another',
  usage: '[OPTIONS] IMAGE [IMAGE]',
  options: { format: choice('format', { words: ['json'], initial: undefined, help: 'Print the paths as JSON: "json"' }) },
  arguments: [1, 2],
  async run({ options, arguments: [name = '', to] }, around, signal) {
    await using engine = await engineFor(around);
    using screen = openTransferScreen(around.streams.stderr, around);
    const changes = await diffImage(engine, { name, to }, screen.report, signal);
    around.streams.stdout.write(options.format === 'json' ? `${goJson(documentOf(changes))}\n` : changeLines(changes));
    return 0;
  },
});

/** A kind of change that there is none of is left out. */
function documentOf(changes: readonly FileChange[]) {
  const kinds = ['changed', 'added', 'deleted'] as const;
  const paths = kinds.map((kind) => [kind, changes.filter((change) => change.kind === kind).map(({ path }) => path)] as const);
  return Object.fromEntries(paths.filter(([, found]) => found.length > 0).map(([kind, found]) => [kind, [...found]]));
}
