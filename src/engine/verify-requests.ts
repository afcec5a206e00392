/** What `jettison verify` is asked and gives. */
import type { LayerDifference } from '#execution/worker/contract.ts';
import type { Digest } from '#ground/base/digest.ts';

/** What became of one image, one for each platform. */
export type VerifiedImage = { readonly platform: string; readonly first: Digest; readonly second: Digest };

/** A step that made other files of the same ones. */
export type Unsteady = {
  readonly text: string;
  readonly stage: string | null;
  readonly step: number | null;
  readonly steps: number | null;
  /** In the Dockerfile, from 1. */
  readonly line: number | null;
  /** What differs gets into the image; else what is built on this step leaves it out. */
  readonly reachesImage: boolean;
  /** The first ones of `total`. */
  readonly differences: readonly LayerDifference[];
  readonly total: number;
};

export type Verified = {
  /** The Dockerfile's name. */
  readonly file: string;
  readonly images: readonly VerifiedImage[];
  readonly isSame: boolean;
  /** Steps that were compared. */
  readonly steps: number;
  /** Those that are the cause of a difference, not those that got one from a step before. */
  readonly unsteady: readonly Unsteady[];
  /** What was other in the second run, and what could not be. */
  readonly changed: readonly string[];
  readonly unchanged: readonly string[];
};
