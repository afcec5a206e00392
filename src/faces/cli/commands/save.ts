import { resolve } from 'node:path';
import { once } from 'node:events';
import { saveImages } from '#engine/save.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { defineCommand, type Output } from '../command.ts';
import { engineFor } from '../engine.ts';
import { choice, text } from '../option.ts';
import { openTransferScreen } from '../output/transfers.ts';

export const saveCommand = defineCommand({
  name: 'save',
  summary: 'Save one or more images to a tar archive (streamed to STDOUT by default)',
  usage: '[OPTIONS] IMAGE [IMAGE...]',
  options: {
    output: text('output', { short: 'o', help: 'Write to a file, instead of STDOUT' }),
    platform: text('platform', { help: 'Only the images for this platform: "os/architecture[/variant]"' }),
    format: choice('format', {
      words: ['docker', 'oci'],
      initial: 'docker',
      help: 'What "docker load" reads, or an OCI image layout (default docker)',
    }),
  },
  arguments: [1, Infinity],
  async run({ options, arguments: names }, around, signal) {
    const { stdout, stderr } = around.streams;
    if (options.output === undefined && stdout.isTTY === true) {
      throw new JettisonError('cli/usage', 'Refusing to write an archive to a terminal', { hint: 'Use the -o flag or redirect' });
    }
    const destination =
      options.output === undefined
        ? { kind: 'stream' as const, write: async (chunk: Uint8Array) => await writeAll(stdout, chunk, signal) }
        : { kind: 'file' as const, path: resolve(around.currentFolder, options.output) };
    await using engine = await engineFor(around);
    using screen = openTransferScreen(stderr, around);
    await saveImages(engine, { names, platform: options.platform, format: options.format, destination }, screen.report, signal);
    return 0;
  },
});

/** Waits for a slow reader. */
async function writeAll(output: Output, chunk: Uint8Array, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  if (!output.write(chunk)) await once(output, 'drain', { signal });
}
