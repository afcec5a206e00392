/** Asking before something is removed. */
import { createInterface } from 'node:readline';
import type { Surroundings } from './command.ts';

/** Writes the question with `[y/N]` behind it and reads a line; only `y` or `yes` is a yes, the end of the input is a no. */
export async function confirm(question: string, around: Surroundings, signal: AbortSignal): Promise<boolean> {
  around.streams.stdout.write(`${question} [y/N] `);
  const lines = createInterface({ input: around.streams.stdin });
  const stop = (): void => lines.close();
  signal.addEventListener('abort', stop, { once: true });
  try {
    for await (const line of lines) return /^y(?:es)?$/iu.test(line.trim());
    signal.throwIfAborted();
    return false;
  } finally {
    signal.removeEventListener('abort', stop);
    lines.close();
    around.streams.stdin.destroy();
  }
}
