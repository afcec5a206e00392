/** A process with streams: where a build stopped, in a container. */
import type { Readable, Writable } from 'node:stream';

export type TerminalSize = { readonly rows: number; readonly columns: number };

export type StreamedProcess = AsyncDisposable & {
  /** End it where the process reads to the end of its input. */
  readonly stdin: Writable;
  /** Who reads one of the two reads the other, or lets it go by `resume()`: a process that is not read from waits. Both end with the process, whatever ended it. */
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Its exit code, once all that it wrote was read. Rejects where it could not be started (`runtime/command-not-found`), and where it was cancelled: the streams have no error of their own. */
  readonly exited: Promise<number>;
  /** Of its terminal. */
  resize(size: TerminalSize): void;
};
