/** A builder under measurement: how it builds, forgets, pulls and pushes. */
import type { Command } from './command.ts';

export type BuildRequest = { readonly context: string; readonly file: string; readonly tag: string };

export type Builder = {
  readonly name: string;
  readonly version: string;
  build(request: BuildRequest): Command;
  /** Untimed: afterwards its cache is empty and it has no image but `bases`. */
  forget(bases: readonly string[]): void;
  /** Only where the builder can. */
  readonly pull?: (tag: string) => Command;
  readonly push?: (tag: string) => Command;
  readonly pushZstd?: (tag: string) => Command;
  /** Processes that work for the command without being its children. */
  daemons(): readonly number[];
  /** Removes from the machine what the runs left with a daemon; folders of the bench go later. */
  close(): void;
};

/** What builders need to know of a run of the bench. */
export type Place = {
  /** Builders keep their stores below it; the folder goes at the end as a whole, never between timed runs. */
  readonly folder: string;
  /** `127.0.0.1:PORT` of the registry with the base images. */
  readonly registry: string;
};
