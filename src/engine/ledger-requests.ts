/** What the faces are told of a ledger: what each stage of a build made, and what of it is in the image. All sizes are bytes of regular files. */
import type { Digest } from '#ground/base/digest.ts';

export type Ledger = {
  readonly image: Digest;
  /** As people type them. */
  readonly names: readonly string[];
  readonly platform: string;
  /** The Dockerfile, as it was named; undefined where no build of this store made the image. */
  readonly dockerfile: string | undefined;
  /** Of all layers, as `images` shows it. */
  readonly size: number;
  /** The image that the final stage stands on. */
  readonly base: { readonly name: string; readonly size: number; readonly layers: number } | undefined;
  /** In the order of the file, the final one last; none where nobody knows how the image was made. */
  readonly stages: readonly LedgerStage[];
  /** Images other than the base that files were copied from, and bases of stages. */
  readonly images: readonly LedgerImage[];
  /** Bytes that are in the image more than once, since a file was copied more than once. */
  readonly repeated: number;
  /** COPY --from lines of the image. */
  readonly copies: readonly LedgerCopy[];
  /** All layers, bottom first. */
  readonly layers: readonly LedgerLayer[];
  /** The largest ones of the layers above the base, largest first; undefined where nobody has looked. */
  readonly files: readonly LedgerFile[] | undefined;
  /** What layers above the base have of files that later ones overwrite or delete, by the instruction that hides it; undefined where nobody has looked. */
  readonly hidden: readonly LedgerHidden[] | undefined;
  /** What the first name stood for before the build that gave it to this image. */
  readonly before: LedgerChange | undefined;
};

/** An instruction; undefined members where nobody knows. */
export type LedgerLine = { readonly text: string; readonly stage: string | undefined; readonly line: number | undefined };

/** `built` = `carried` + `jettisoned`; undefined where files of the stage are not here any more, and were never counted. */
export type LedgerStage = {
  readonly name: string;
  readonly line: number | undefined;
  readonly isFinal: boolean;
  readonly built: number | undefined;
  readonly carried: number;
  readonly jettisoned: number | undefined;
  readonly steps: readonly LedgerStep[];
};

export type LedgerStep = LedgerLine & { readonly built: number | undefined; readonly carried: number };

/** `carried`: what of its files COPY lines brought into the image. */
export type LedgerImage = { readonly name: string; readonly size: number | undefined; readonly carried: number };

export type LedgerCopy = LedgerLine & {
  readonly bytes: number;
  /** By stage, or image, that made the files; most first. */
  readonly from: readonly { readonly name: string; readonly bytes: number }[];
};

/** One of the base has its own history's words. */
export type LedgerLayer = LedgerLine & { readonly size: number; readonly isBase: boolean };

export type LedgerFile = { readonly path: string; readonly size: number; readonly layer: LedgerLine; readonly origin: LedgerOrigin };

/** `path`: in the files of the step that made it. */
export type LedgerOrigin = LedgerLine & { readonly path: string };

/** `of`: whose files they are. */
export type LedgerHidden = LedgerLine & { readonly files: number; readonly size: number; readonly of: LedgerLine };

export type LedgerChange = {
  readonly name: string;
  readonly image: Digest;
  readonly size: number;
  /** Instructions whose files are more or less bytes of the image than before, the largest change first; undefined where the image before is not known so well. */
  readonly lines: readonly LedgerDifference[] | undefined;
};

/** `before`: 0 for a new line; `size`: 0 for one that is gone, whose `line` is that of the Dockerfile before. */
export type LedgerDifference = LedgerLine & { readonly before: number; readonly size: number };

/** A limit that somebody set: bytes, layers, or of growth a part of the size before. */
export type BudgetLimit = {
  readonly kind: 'final' | 'layer' | 'layers' | 'growth' | 'file';
  readonly most: number;
  readonly isPart: boolean;
  /** As it was written: `final<=20MB`. */
  readonly text: string;
};
