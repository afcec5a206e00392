/** What the faces are told of a payload check: whether a container of an image would start, and what it lacks. */
import type { Finding } from '#formats/payload/finding.ts';
import type { Digest } from '#ground/base/digest.ts';

/** `error`: a build whose image is certain not to start fails; `warn`: it says so; `off`: nobody looks. */
export type CheckMode = 'error' | 'warn' | 'off';

export type PayloadCheck = {
  readonly imageId: Digest;
  /** `linux/amd64`. */
  readonly platform: string;
  /** Errors first. */
  readonly findings: readonly CheckedFinding[];
  /** How many programs were followed. */
  readonly programs: number;
  /** Instructions that bring what is missing, to stand at the end of the final stage; each once. */
  readonly lines: readonly string[];
  /** The Dockerfile of the build that made it, as it was named; undefined for an image from elsewhere. */
  readonly dockerfile: string | undefined;
  /** Name or number of the final stage, where it is known. */
  readonly stage: string | undefined;
};

export type CheckedFinding = Omit<Finding, 'remedies'> & {
  /** The instruction that brought the file; undefined for one of the base image, and where nobody knows. */
  readonly origin: { readonly text: string; readonly stage: string | undefined; readonly line: number | undefined } | undefined;
  readonly fixes: readonly Fix[];
};

/** A file of a stage that is missing in the image, and the instruction that brings it. */
export type Fix = { readonly stage: string; readonly source: string; readonly destination: string; readonly line: string };

/** Of the build that made an image: each `COPY --libs`, and the plain instructions that copy the same. */
export type PlainCopies = {
  readonly dockerfile: string;
  readonly copies: readonly {
    readonly instruction: string;
    readonly stage: string | undefined;
    readonly line: number | undefined;
    readonly lines: readonly string[];
  }[];
};
