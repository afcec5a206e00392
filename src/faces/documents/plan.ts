/** The document of `jettison plan --format json` (docs/why.md, docs/schemas/plan.schema.json). */

/** Milliseconds, as long as the steps took before. */
export type PlanDocument = {
  readonly version: 1;
  /** The Dockerfile's name. */
  readonly file: string;
  readonly steps: readonly PlanStep[];
  readonly expected: number;
  /** With the steps of which it is not known whether they run. */
  readonly atMost: number;
  /** Bytes to download. */
  readonly pull: number;
  /** Stages that would have no part in the build. */
  readonly unbuilt: readonly UnbuiltStage[];
  /** Of caches elsewhere that could not be read, and the like. */
  readonly warnings: readonly string[];
};

/** `stage`: its name, or its number; `line`: of its FROM; `runs`: it has a RUN. */
export type UnbuiltStage = {
  readonly stage: string;
  readonly file: string;
  readonly line: number;
  readonly runs: boolean;
  readonly reason: string;
};

/** `unknown`: it depends on what comes of a step before it. `expected` is null for a step that may run and never did. */
export type PlanStep = {
  readonly text: string;
  readonly stage: string | null;
  readonly step: number | null;
  readonly steps: number | null;
  readonly line: number | null;
  readonly state: 'cached' | 'skipped' | 'run' | 'unknown';
  readonly expected: number | null;
};
