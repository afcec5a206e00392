/** The documents of `jettison debug --json` (docs/debug.md, docs/schemas/debug.schema.json). */

/** A step that failed. */
export type FailedStepDocument = {
  readonly version: 1;
  /** Id of the build; null for a step out of a bundle. */
  readonly build: string | null;
  /** RFC 3339 */
  readonly failedAt: string;
  readonly text: string;
  readonly stage: string | null;
  readonly step: number | null;
  readonly steps: number | null;
  /** Name of the Dockerfile. */
  readonly dockerfile: string;
  readonly line: number | null;
  readonly exitCode: number;
  readonly message: string;
  readonly command: readonly string[];
  readonly environment: readonly string[];
  readonly workingDirectory: string;
  readonly user: string;
  readonly mounts: readonly { readonly kind: string; readonly target: string | null }[];
  /** Names of variables that are never kept. */
  readonly leftOut: readonly string[];
  /** `written`: what it had written is there; `reason`: why it is not. */
  readonly keeps: { readonly written: boolean; readonly reason: string | null };
};

/** A stage of the last build, behind a line. */
export type StagePlaceDocument = {
  readonly version: 1;
  readonly text: string;
  readonly environment: readonly string[];
  readonly workingDirectory: string;
  readonly user: string;
  readonly shell: readonly string[];
};

export type DebugDocument = FailedStepDocument | StagePlaceDocument;
