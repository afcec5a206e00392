/** A process where a build stopped, or in a stage of it. */
import type { BuildOptions } from './build-options.ts';
import type { CallOptions } from './call-options.ts';
import type { StreamedProcess, TerminalSize } from './streamed-process.ts';

/** Left out: a shell where the last build failed, with what the step had. */
export type DebugOptions = CallOptions & {
  /** `STAGE`, `STAGE:LINE` or `Dockerfile:LINE` of a build: its files as they are behind that line, out of the cache. */
  readonly place?: string;
  /** The build that the place is one of; left out: that of the current folder. */
  readonly build?: BuildOptions;
  /** A program and its arguments; left out: the shell that is there. */
  readonly command?: readonly string[];
  /** Beside those of the place. */
  readonly environment?: Readonly<Record<string, string>>;
  readonly user?: string;
  readonly workingDirectory?: string;
  /** It has a terminal of this size: what it writes all comes by `stdout`. */
  readonly terminal?: TerminalSize;
};

/** What it writes to its files goes with it. Disposing kills it, and waits for it. */
export type DebugProcess = StreamedProcess;
