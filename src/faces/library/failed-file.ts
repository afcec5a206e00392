/** One file of what a failed step left, in memory. */
import { copyFrom } from '#engine/copy-from.ts';
import type { Engine } from '#engine/open.ts';
import { failedName } from '#engine/step-place.ts';
import { createTarReader } from '#formats/tar/read.ts';
import { JettisonError } from '#ground/base/errors.ts';

export type FileWish = { readonly path: string; /** Most bytes. */ readonly limit: number };

/** Follows links within the step's files. Throws `engine/no-failed-step`, `engine/no-such-path`, `library/not-a-file`, `library/too-large`. */
export async function readFailedFile(engine: Engine, { path, limit }: FileWish, signal: AbortSignal): Promise<Uint8Array> {
  let content: Uint8Array | undefined;
  const reader = createTarReader({
    entry: ({ kind, size }) => {
      if (content !== undefined || kind !== 'file')
        throw new JettisonError('library/not-a-file', `"${path}" is not a file`, {
          hint: '"jettison cp @fail:PATH DEST" copies folders, too',
        });
      if (size > limit)
        throw new JettisonError('library/too-large', `"${path}" has ${size} bytes, and ${limit} are wanted at most`, {
          hint: 'Give a larger "limit", or use "jettison cp @fail:PATH DEST"',
        });
      content = new Uint8Array(size);
    },
    data: (bytes, offset) => content?.set(bytes, offset),
    entryEnd: () => undefined,
  });
  const to = async (chunk: Uint8Array): Promise<void> => await Promise.resolve(reader.push(chunk));
  await copyFrom(engine, { source: { kind: 'container', name: failedName }, path, followLink: true, to }, () => undefined, signal);
  reader.finish();
  return content ?? new Uint8Array();
}
