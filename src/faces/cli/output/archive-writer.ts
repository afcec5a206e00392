import { once } from 'node:events';
import { JettisonError } from '#ground/base/errors.ts';
import type { Surroundings } from '../command.ts';

/** Writes an archive to stdout, waiting for a slow reader; chunks may use their buffers again. Throws `cli/usage` where that is a terminal, which `hint` helps with. */
export function archiveWriter(
  { streams: { stdout } }: Pick<Surroundings, 'streams'>,
  signal: AbortSignal,
  hint = 'Use the -o flag or redirect',
): (chunk: Uint8Array) => Promise<void> {
  if (stdout.isTTY === true) throw new JettisonError('cli/usage', 'Refusing to write an archive to a terminal', { hint });
  return async (chunk) => {
    signal.throwIfAborted();
    if (!stdout.write(chunk.slice())) await once(stdout, 'drain', { signal });
  };
}
