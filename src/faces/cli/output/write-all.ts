import type { Output } from '../command.ts';

/** Writes to an output; gives a promise while it wants no more. One that is gone takes nothing. */
export function writeAll(output: Output, bytes: Uint8Array): Promise<void> | undefined {
  if (output.destroyed || output.write(bytes)) return undefined;
  const { promise, resolve } = Promise.withResolvers<void>();
  const done = (): void => {
    output.off('drain', done).off('close', done);
    resolve();
  };
  output.once('drain', done).once('close', done);
  return promise;
}
