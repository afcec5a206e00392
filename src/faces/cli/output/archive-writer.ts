import { once } from 'node:events';
import { JettisonError } from '#ground/base/errors.ts';
import type { Surroundings } from '../command.ts';

/** Writes an archive to stdout, waiting for a slow reader. Throws `cli/usage` where that is a terminal. */
export function archiveWriter({ streams: { stdout } }: Surroundings, signal: AbortSignal): (chunk: Uint8Array) => Promise<void> {
  if (stdout.isTTY === true)
    throw new JettisonError('cli/usage', 'Refusing to write an archive to a terminal', { hint: 'Use the -o flag or redirect' });
  return async (chunk) => {
    signal.throwIfAborted();
    if (!stdout.write(chunk)) await once(stdout, 'drain', { signal });
  };
}
