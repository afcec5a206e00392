/** The document of `jettison check --json` (docs/check.md, docs/schemas/check.schema.json). */

export type CheckDocument = {
  readonly version: 1;
  /** The image's id. */
  readonly image: string;
  /** `linux/amd64` */
  readonly platform: string;
  /** Of the build that made it; null where nobody knows. */
  readonly dockerfile: string | null;
  /** How many programs were followed. */
  readonly programs: number;
  /** Errors first. */
  readonly findings: readonly CheckFinding[];
  /** Instructions that bring what is missing, to stand at the end of the final stage; each once. */
  readonly lines: readonly string[];
};

export type CheckFinding = {
  /** `missing-loader`, `missing-library` and so on: docs/check.md names them all. */
  readonly rule: string;
  /** `error`: the start is certain to fail. */
  readonly severity: 'error' | 'warning';
  /** What leads there: `ENTRYPOINT`, `CMD`, `COPY` and so on. */
  readonly root: string;
  /** Path in the image of what has the trouble; null for a setting. */
  readonly file: string | null;
  readonly message: string;
  /** A path, a name, a version; null where nothing is missing. */
  readonly missing: string | null;
  readonly hint: string | null;
  /** What brought the file; null for one of the base image, and where nobody knows. */
  readonly origin: { readonly instruction: string; readonly stage: string | null; readonly line: number | null } | null;
  /** Files of stages, and the instruction that copies each. */
  readonly fixes: readonly { readonly stage: string; readonly source: string; readonly destination: string; readonly line: string }[];
};
