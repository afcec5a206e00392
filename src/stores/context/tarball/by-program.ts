/** Archives that the host's own programs unpack. */
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { childSignal } from '#ground/base/abort.ts';
import { isCode, JettisonError } from '#ground/base/errors.ts';
import { runProcess } from '#ground/linux/spawn.ts';

export type PackedStream = {
  readonly chunks: AsyncIterable<Uint8Array>;
  readonly program: 'xz' | 'bzip2';
  /** A file that is not there yet: the program reads a file, which goes at once. */
  readonly spool: string;
};

/** Calls `take` with what comes out, and throws what that throws. Throws `context/bad-archive`, `context/no-decompressor`. */
export async function readByProgram(
  { chunks, program, spool }: PackedStream,
  take: (bytes: Uint8Array) => void,
  signal: AbortSignal,
): Promise<void> {
  const file = openSync(spool, 'wx+', 0o600);
  try {
    rmSync(spool);
    await write(chunks, file, signal);
    await unpack(file, program, take, signal);
  } finally {
    closeSync(file);
  }
}

/** Written at given places, so that the program finds the file at its start. */
async function write(chunks: AsyncIterable<Uint8Array>, file: number, signal: AbortSignal): Promise<void> {
  let length = 0;
  for await (const chunk of chunks) {
    signal.throwIfAborted();
    let at = 0;
    while (at < chunk.length) at += writeSync(file, chunk, at, chunk.length - at, length + at);
    length += chunk.length;
  }
}

async function unpack(file: number, command: 'xz' | 'bzip2', take: (bytes: Uint8Array) => void, signal: AbortSignal): Promise<void> {
  using stop = childSignal(signal);
  const onStdout = (chunk: Uint8Array): void => {
    if (stop.signal.aborted) return;
    try {
      take(chunk);
    } catch (error) {
      stop.abort(error instanceof Error ? error : new Error(String(error)));
    }
  };
  try {
    const { code, signal: end, stderr } = await runProcess({ command, arguments: ['-dc'], input: file, onStdout }, stop.signal);
    if (code === 0) return;
    const said = new TextDecoder().decode(stderr).trim();
    throw new JettisonError(
      'context/bad-archive',
      `Cannot read the build context: ${command}: ${end === undefined ? said : `ended by ${end}`}`,
    );
  } catch (error) {
    if (!isCode(error, 'linux/no-such-command')) throw error;
    throw new JettisonError('context/no-decompressor', `Cannot unpack the build context: the program "${command}" is not installed`, {
      fault: 'environment',
      hint: `Install ${command}, or pack the archive with gzip or zstd`,
      cause: error,
    });
  }
}
