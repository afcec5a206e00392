/** Builds that were: why their steps ran, what is known of them, what their steps wrote. */
import type { BuildRecordDocument } from '#faces/documents/build-record.ts';
import type { BuildStatus, WhyDocument } from '#faces/documents/why.ts';
import type { BuildEvent, CallOptions } from './call-options.ts';

/** `step`: a line of the Dockerfile (`7`, `Dockerfile:7`), a place as progress shows it (`build 2/5`), a stage, or a part of the instruction. */
export type RecordOptions = CallOptions & { /** Id of a build, or its beginning; left out: the last one. */ readonly build?: string };

export type BuildEntry = {
  readonly build: string;
  readonly status: BuildStatus;
  /** Of the image. */
  readonly names: readonly string[];
  readonly context: string;
  readonly dockerfile: string;
  /** RFC 3339 */
  readonly startedAt: string;
  /** Null while it runs. */
  readonly finishedAt: string | null;
  readonly steps: { readonly total: number; readonly cached: number };
  readonly image: string | null;
  readonly error: { readonly code: string; readonly message: string } | null;
};

export type RecordFunctions = {
  /** Why the steps of a build ran again; `step`: of the steps that it names. */
  why(options?: RecordOptions & { readonly step?: string }): Promise<WhyDocument>;
  /** What is known of a build and its steps. */
  buildRecord(options?: RecordOptions): Promise<BuildRecordDocument>;
  /** The builds that were, newest first. */
  builds(options?: CallOptions): Promise<readonly BuildEntry[]>;
  /** What was reported of a build's steps when they ran, and what they wrote, whole, one step after the other; `step`: of those that it names. */
  logs(options?: RecordOptions & { readonly step?: string }): AsyncIterable<BuildEvent>;
};
