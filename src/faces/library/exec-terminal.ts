/** The terminal of a process in a container, as streams of this program. */
import { Readable, Writable } from 'node:stream';
import type { ExecProcess } from '#engine/exec-container.ts';
import type { StreamedProcess } from './streamed-process.ts';

/** Ctrl-D, which ends the input of who reads lines from a terminal. */
const endOfInput = Uint8Array.of(4);

/** `stdout`: all that is shown there, its end with the last process that has the terminal; `stderr` is empty. undefined for a process without one. */
export function terminalStreams(exec: ExecProcess): Pick<StreamedProcess, 'stdin' | 'stdout' | 'stderr'> | undefined {
  const { terminal } = exec;
  if (terminal === undefined) return undefined;
  const stdout = new Readable({
    read: () => void terminal.resume(),
    destroy(error, done) {
      // Who shows nothing of it does not have the process wait.
      terminal.resume();
      done(error);
    },
  });
  terminal.on('data', (bytes: Uint8Array) => {
    if (!stdout.destroyed && !stdout.push(exec.asWritten(bytes))) terminal.pause();
  });
  // The end of its last process is an error to who reads a terminal.
  terminal.once('error', () => terminal.destroy());
  terminal.once('end', () => terminal.destroy());
  terminal.once('close', () => void finish());
  const finish = async (): Promise<void> => {
    const rest = await exec.rest();
    if (stdout.destroyed) return;
    if (rest.length > 0) stdout.push(rest);
    stdout.push(null);
  };
  // A terminal that is gone takes no more: that its process has ended is told by the exit code.
  const send = (bytes: Uint8Array, done: () => void): void => {
    if (terminal.destroyed) done();
    else terminal.write(bytes, () => done());
  };
  return {
    stdin: new Writable({
      write: (chunk: Uint8Array, _encoding, done) => send(chunk, done),
      final: (done) => send(endOfInput, done),
    }),
    stdout,
    stderr: new Readable({
      read() {
        this.push(null);
      },
    }),
  };
}
