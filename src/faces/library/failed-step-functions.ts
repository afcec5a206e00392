/** What a build that failed left, and places of builds to look into. */
import type { DiffDocument } from '#faces/documents/diff.ts';
import type { FailedStepDocument } from '#faces/documents/failed-step.ts';
import type { CallOptions, EventOptions } from './call-options.ts';
import type { DebugOptions, DebugProcess } from './debug-process.ts';

export type FailedStepFunctions = {
  /** The step that failed last, of the current folder's projects first; undefined where none is kept. */
  failedStep(options?: CallOptions): Promise<FailedStepDocument | undefined>;
  /** What it had written. */
  failedStepDiff(options?: CallOptions): Promise<DiffDocument>;
  /** A file as it left it, of at most `limit` bytes (64 MiB if left out). */
  readFailedFile(path: string, options?: CallOptions & { readonly limit?: number }): Promise<Uint8Array>;
  /** Runs it once more as it was, over the files before it, and gives its exit code; nothing of it is kept. `onEvent` is told its output. */
  repeatFailedStep(options?: EventOptions): Promise<number>;
  /** A process where it failed, or in a stage of a build. */
  debug(options?: DebugOptions): Promise<DebugProcess>;
  /** Writes it to a file (`step.tar.zst`) that another store can open: complete, or not there. */
  writeBundle(path: string, options?: EventOptions): Promise<void>;
  /** Makes the step of such a file the failed step of this store. */
  openBundle(path: string, options?: EventOptions): Promise<FailedStepDocument>;
};
