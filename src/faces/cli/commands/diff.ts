import { diffContainer, type FileChange } from '#engine/container-diff.ts';
import { diffDocument } from '#faces/documents/make-diff.ts';
import { defineCommand } from '../command.ts';
import { engineFor } from '../engine.ts';
import { flag } from '../option.ts';
import { goJson } from '#ground/base/go-json.ts';
import { openTransferScreen } from '../output/transfers.ts';
import { harmless } from '../output/text.ts';

const letters: Readonly<Record<FileChange['kind'], string>> = { added: 'A', changed: 'C', deleted: 'D' };

export const diffCommand = defineCommand({
  name: 'diff',
  summary: "Inspect changes to files or directories on a container's filesystem, or what a failed step had written",
  usage: '[OPTIONS] CONTAINER|@fail',
  options: { json: flag('json', { help: 'Print JSON' }) },
  arguments: [1, 1],
  async run({ options, arguments: [name = ''] }, around, signal) {
    await using engine = await engineFor(around);
    using screen = openTransferScreen(around.streams.stderr, around);
    const changes = await diffContainer(engine, name, screen.report, signal);
    const text = options.json ? `${goJson(diffDocument(changes))}\n` : changeLines(changes);
    around.streams.stdout.write(text);
    return 0;
  },
});

/** A line for each change, as docker and podman have it. */
export function changeLines(changes: readonly FileChange[]): string {
  return changes.map(({ kind, path }) => `${letters[kind]} ${harmless(path, false)}\n`).join('');
}
