/** Lines that a person types: shown as they are typed, or not (passwords). */
import type { Streams } from './command.ts';

const keys = { interrupt: 3, end: 4, backspace: 8, lineFeed: 10, carriageReturn: 13, eraseLine: 21, delete: 127 } as const;

/** Writes `question` to stdout and reads one line; undefined when the input ends before one. What stands behind the line stays to be read. Throws what `signal` was aborted with. */
export async function askLine(question: string, { stdin, stdout }: Streams, signal: AbortSignal): Promise<string | undefined> {
  stdout.write(question);
  const bytes: number[] = [];
  for (;;) {
    const chunk = await nextChunk(stdin, signal);
    if (chunk === undefined) return bytes.length === 0 ? undefined : decode(bytes);
    const end = chunk.indexOf(keys.lineFeed);
    bytes.push(...(end < 0 ? chunk : chunk.subarray(0, end)));
    if (end < 0) continue;
    if (end + 1 < chunk.length) stdin.unshift(chunk.subarray(end + 1));
    return decode(bytes).replace(/\r$/u, '');
  }
}

/** The same without showing what is typed. Only for a terminal. */
export async function askHidden(question: string, streams: Streams, signal: AbortSignal): Promise<string | undefined> {
  const { stdin, stdout } = streams;
  stdin.setRawMode?.(true);
  try {
    stdout.write(question);
    const bytes: number[] = [];
    for (;;) {
      const chunk = await nextChunk(stdin, signal);
      if (chunk === undefined) return undefined;
      for (const [index, key] of chunk.entries()) {
        if (key === keys.interrupt) process.kill(process.pid, 'SIGINT');
        else if (key === keys.end && bytes.length === 0) return undefined;
        else if (key === keys.lineFeed || key === keys.carriageReturn) {
          if (index + 1 < chunk.length) stdin.unshift(chunk.subarray(index + 1));
          return decode(bytes);
        } else if (key === keys.backspace || key === keys.delete) bytes.pop();
        else if (key === keys.eraseLine) bytes.length = 0;
        else if (key >= 32) bytes.push(key);
      }
    }
  } finally {
    stdin.setRawMode?.(false);
    stdout.write('\n');
  }
}

async function nextChunk(stdin: Streams['stdin'], signal: AbortSignal): Promise<Uint8Array | undefined> {
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array | undefined>();
  const onData = (chunk: Uint8Array): void => resolve(chunk);
  const onEnd = (): void => resolve(undefined);
  const onAbort = (): void => reject(signal.reason instanceof Error ? signal.reason : new Error('cancelled'));
  stdin.once('data', onData).once('end', onEnd).once('error', reject);
  // A stream that was paused stays so when somebody listens.
  stdin.resume();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await promise;
  } finally {
    stdin.pause();
    stdin.off('data', onData).off('end', onEnd).off('error', reject);
    signal.removeEventListener('abort', onAbort);
  }
}

function decode(bytes: readonly number[]): string {
  return new TextDecoder().decode(Uint8Array.from(bytes));
}
