/** Reads what `logs.ts` wrote. */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { systemCode } from '#ground/base/errors.ts';
import { logPath, type LogPiece } from './logs.ts';

/** Nothing for a log that is gone; a line that was cut off by a crash ends it. */
export async function* readLog(folder: string, name: string): AsyncGenerator<LogPiece> {
  const stream = createReadStream(logPath(folder, name));
  try {
    for await (const line of createInterface({ input: stream, crlfDelay: Infinity })) {
      const piece = readPiece(line);
      if (piece === undefined) return;
      yield piece;
    }
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
  } finally {
    stream.destroy();
  }
}

function readPiece(line: string): LogPiece | undefined {
  try {
    const parts: unknown = JSON.parse(line);
    if (!Array.isArray(parts)) return undefined;
    const [after, stream, text]: readonly unknown[] = parts;
    if (typeof after !== 'number' || typeof text !== 'string') return undefined;
    return { after, stream: stream === 1 ? 'stdout' : 'stderr', text };
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
