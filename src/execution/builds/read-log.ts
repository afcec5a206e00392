/** Reads what `logs.ts` wrote. */
import { closeSync, createReadStream, openSync, readSync } from 'node:fs';
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

const chunk = 1 << 20;

/** The same at once, for reports that may not wait. */
export function* readLogNow(folder: string, name: string): Generator<LogPiece> {
  const file = openLog(logPath(folder, name));
  if (file === undefined) return;
  try {
    const decoder = new TextDecoder();
    const bytes = new Uint8Array(chunk);
    let rest = '';
    for (let count = readSync(file, bytes); count > 0; count = readSync(file, bytes)) {
      const lines = (rest + decoder.decode(bytes.subarray(0, count), { stream: true })).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        const piece = readPiece(line);
        if (piece === undefined) return;
        yield piece;
      }
    }
  } finally {
    closeSync(file);
  }
}

function openLog(path: string): number | undefined {
  try {
    return openSync(path, 'r');
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
    return undefined;
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
