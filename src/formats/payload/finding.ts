/** What the check found: values; the words are for people. */
import type { Remedy } from './closure.ts';

export type FindingRule =
  | 'no-command'
  | 'missing-program'
  | 'not-executable'
  | 'closed-folder'
  | 'not-a-program'
  | 'wrong-machine'
  | 'missing-interpreter'
  | 'carriage-return'
  | 'missing-loader'
  | 'missing-library'
  | 'uncached-library'
  | 'broken-library'
  | 'missing-version'
  | 'unknown-user'
  | 'working-directory'
  | 'not-followed'
  | 'no-certificates'
  | 'no-time-zone'
  | 'no-locale';

/** What the finding is about: what starts, what may be started, or a setting. */
export type FindingRoot = 'ENTRYPOINT' | 'CMD' | 'HEALTHCHECK' | 'SHELL' | 'USER' | 'WORKDIR' | 'ENV' | 'COPY';

export type Finding = {
  readonly rule: FindingRule;
  /** `error`: the container is certain not to start; `warning`: it starts, or nobody can say. */
  readonly severity: 'error' | 'warning';
  readonly root: FindingRoot;
  /** Absolute path in the image of what has the trouble; undefined for a setting. */
  readonly file: string | undefined;
  /** One sentence. */
  readonly message: string;
  /** What is missing: a path, a name, a version. */
  readonly missing: string | undefined;
  /** Where it is: files of stages of the same build, each with its place in the image. */
  readonly remedies: readonly Remedy[];
  readonly hint: string | undefined;
};
