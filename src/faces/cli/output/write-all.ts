import type { Output } from '../command.ts';

/** Writes to an output; gives a promise while it wants no more. One that is gone takes nothing. */
export function writeAll(output: Output, bytes: Uint8Array): Promise<void> | undefined {
  if (output.destroyed || output.write(bytes)) return undefined;
  const { promise, resolve } = Promise.withResolvers<void>();
  output.once('drain', resolve).once('close', resolve);
  return promise;
}
