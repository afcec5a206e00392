/** Doing what a tutorial says: `jettison replay`. */
import type { DifferentLine } from '#languages/tutorial/compare.ts';
import type { Replayed, ReplayFollower } from '#execution/replay/replay.ts';

export type { DifferentLine, Replayed, ReplayFollower };

export type ReplayRequest = {
  /** The Markdown file. */
  readonly file: string;
  /** Files to begin with are copied from here; undefined: the folder is empty. */
  readonly copy: string | undefined;
  /** Where the commands are typed, and stay; undefined: a folder that is removed afterwards. */
  readonly folder: string | undefined;
  /** Names under which this program is found: `docker`. */
  readonly aliases: readonly string[];
  /** This program, as it was started. */
  readonly program: readonly string[];
  /** Milliseconds for each command. */
  readonly timeout: number;
  /** Put what was printed in the place of what is shown, where that differs. */
  readonly writes: boolean;
};

export type ReplayPlan = {
  readonly commands: readonly { readonly script: string; readonly line: number }[];
  readonly files: readonly { readonly path: string; readonly line: number }[];
};
