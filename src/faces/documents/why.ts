/** The document of `jettison why --json` (docs/why.md, docs/schemas/why.schema.json). */

export type BuildStatus = 'running' | 'done' | 'failed' | 'cancelled' | 'interrupted';

export type WhyDocument = {
  readonly version: 1;
  /** Id of the build. */
  readonly build: string;
  readonly status: BuildStatus;
  /** Of the image. */
  readonly names: readonly string[];
  /** RFC 3339 */
  readonly startedAt: string;
  readonly steps: { readonly total: number; readonly cached: number };
  readonly roots: readonly WhyRoot[];
  readonly ran: readonly WhyStep[];
};

/** Where a step stands. */
export type StepPlace = {
  readonly text: string;
  readonly stage: string | null;
  readonly step: number | null;
  readonly line: number | null;
};

/** A step in which the difference begins. */
export type WhyRoot = StepPlace & {
  /** It did not run itself, but is in another state than the build it is compared with. */
  readonly wasKnown: boolean;
  readonly changes: readonly WhyChange[];
  /** How many more changes there are. */
  readonly more: number;
  /** Id of the build it was compared with. */
  readonly against: string | null;
  /** Milliseconds that it ran. */
  readonly cost: number;
  /** How many steps ran because of it, and their milliseconds. */
  readonly behind: number;
  readonly behindCost: number;
};

/** docs/why.md names the classes and what the members mean in each. */
export type WhyChange = {
  readonly class: string;
  readonly object: string;
  readonly change: string;
  readonly from?: string;
  readonly before?: string;
  readonly after?: string;
};

/** A step that ran; `causes` are places in `roots`. */
export type WhyStep = StepPlace & { readonly cost: number; readonly causes: readonly number[] };
