import { isCode } from '#ground/base/errors.ts';
import type { Streams } from '../command.ts';
import { printError } from '../output/error.ts';

/** Does `work` for each name; a failure is printed and the others still get their turn. Gives the exit code of the worst. */
export async function forEachName(names: readonly string[], streams: Streams, work: (name: string) => Promise<void>): Promise<number> {
  let code = 0;
  for (const name of names) {
    try {
      await work(name);
    } catch (error) {
      if (isCode(error, 'base/cancelled')) throw error;
      code = Math.max(code, printError(error, streams.stderr, 1));
    }
  }
  return code;
}
