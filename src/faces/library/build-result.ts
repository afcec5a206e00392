/** What came of a build, as plain values. */
import type { CheckDocument } from '#faces/documents/check.ts';
import type { LedgerDocument } from '#faces/documents/ledger.ts';
import type { UnbuiltStage } from '#faces/documents/plan.ts';
import type { WhyRoot } from '#faces/documents/why.ts';

export type BuildResult = {
  /** Id of the build: `why` takes it. */
  readonly build: string;
  /** Null where only files were wanted. */
  readonly image: BuiltImage | null;
  /** Names of the image in the store and in registries, in full. */
  readonly names: readonly string[];
  readonly steps: { readonly total: number; readonly cached: number };
  /** Stages of the Dockerfile that had no part in it. */
  readonly unbuilt: readonly UnbuiltStage[];
  /** What was found in images that are new in the store: whether a container would start. */
  readonly checks: readonly CheckDocument[];
  /** What images that are new in the store weigh, and why; without their files, which `ledger` tells. */
  readonly ledgers: readonly LedgerDocument[];
  /** What later layers of images that are new in the store overwrite or delete: left out of the image where it was folded. */
  readonly hidden: readonly HiddenFiles[];
  /** What came of each of several targets, where `image` is that of the first, and all else of all; none for one. */
  readonly targets: readonly { readonly target: string; readonly image: BuiltImage | null; readonly names: readonly string[] }[];
  /** Why steps ran again; none where nothing did, or nothing like it was built before. */
  readonly why: readonly WhyRoot[];
  readonly timing: BuildTiming;
};

export type BuiltImage = {
  /** Digest of the image's config. */
  readonly id: string;
  /** The images that were made, one for each platform. */
  readonly all: readonly { readonly platform: string; readonly id: string }[];
  /** RFC 3339 */
  readonly created: string;
  /** It is in the store. */
  readonly isKept: boolean;
  /** The manifest, or the index of several, that was written somewhere; null where the image is only in the store. */
  readonly manifest: { readonly mediaType: string; readonly digest: string; readonly size: number } | null;
};

/** Sizes are bytes of files, uncompressed. */
export type HiddenFiles = {
  readonly image: string;
  readonly platform: string;
  /** The image goes without them; else they are in it. */
  readonly folded: boolean;
  readonly dockerfile: string;
  readonly size: number;
  /** The instructions that hide something. */
  readonly steps: readonly HidingInstruction[];
};

export type HidingInstruction = {
  readonly instruction: string;
  readonly stage: string | null;
  readonly line: number | null;
  readonly files: number;
  readonly size: number;
  /** Paths of what it deletes whose names promise a password or a key. */
  readonly credentials: readonly string[];
  /** The same by the instruction whose layer has them. */
  readonly of: readonly { readonly instruction: string; readonly line: number | null; readonly files: number; readonly size: number }[];
};

/** Milliseconds, and bytes of the context that were read and of what was downloaded. */
export type BuildTiming = {
  readonly wall: number;
  /** The longest chain of steps that had to run one after the other. */
  readonly chain: { readonly duration: number; readonly steps: readonly string[] };
  readonly readBytes: number;
  readonly pulledBytes: number;
};
