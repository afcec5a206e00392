/** What steps wrote, whole: a file a step, a JSON line for each piece as it came, `[milliseconds since the step began, 1 or 2, text]`. */
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';

export type LogPiece = { readonly after: number; readonly stream: 'stdout' | 'stderr'; readonly text: string };

export type LogWriter = Disposable & {
  write(piece: LogPiece): void;
};

const batch = 64 * 1024;

/** `name` is `BUILD/NUMBER`. Throws what the file system says. */
export function openLog(folder: string, name: string): LogWriter {
  const path = logPath(folder, name);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const file = openSync(path, 'w', 0o600);
  let waiting: string[] = [];
  let length = 0;
  const flush = (): void => {
    let bytes = new TextEncoder().encode(waiting.join(''));
    [waiting, length] = [[], 0];
    while (bytes.length > 0) bytes = bytes.subarray(writeSync(file, bytes));
  };
  return {
    write({ after, stream, text }) {
      // Readers of lines end one at these characters, too, and JSON lets them stand.
      const json = JSON.stringify([after, stream === 'stdout' ? 1 : 2, text]).replaceAll(/[\u2028\u2029]/gu, escapeCharacter);
      const line = `${json}\n`;
      waiting.push(line);
      length += line.length;
      if (length >= batch) flush();
    },
    [Symbol.dispose]() {
      try {
        flush();
      } finally {
        closeSync(file);
      }
    },
  };
}

function escapeCharacter(character: string): string {
  return character === '\u2028' ? String.raw`\u2028` : String.raw`\u2029`;
}

/** Where the log of this name lies. */
export function logPath(folder: string, name: string): string {
  return join(folder, 'logs', `${name}.log`);
}
