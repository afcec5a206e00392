/** The document of `jettison blame --json` (docs/blame.md, docs/schemas/blame.schema.json). */

export type BlameDocument = {
  readonly version: 1;
  /** The image's id. */
  readonly image: string;
  /** `linux/amd64` */
  readonly platform: string;
  /** Is anything known of how it was made? */
  readonly known: boolean;
  readonly layers: number;
  /** Bytes of all layers' files. */
  readonly size: number;
  /** Bytes of the files that are told of. */
  readonly bytes: number;
  /** What the other members name by its place. */
  readonly origins: readonly BlameOrigin[];
  readonly by: BlameGrouping;
  /** Most bytes first. */
  readonly sums: readonly BlameSum[];
  /** Left out where nobody asked for them. */
  readonly files?: readonly BlameFile[];
  /** Files of base images that are not listed. */
  readonly base: readonly { readonly origin: number; readonly files: number; readonly bytes: number }[];
};

/** `origin`: what wrote it, or what it was taken from; `line`: the instruction without which it would not be there; `stage`: where that stands; `base`: images that were built on or copied from. */
export type BlameGrouping = 'origin' | 'line' | 'stage' | 'base';

export type BlameOrigin = {
  /** `copy`: the instruction itself made or set it; `gone`: the stage's files are not in the store any more. */
  readonly kind: 'run' | 'copy' | 'context' | 'url' | 'git' | 'heredoc' | 'image' | 'container' | 'gone' | 'unknown';
  /** The layer that it came with, from 1 at the bottom. */
  readonly layer: number;
  /** That it was made in; null for a base image. */
  readonly stage: string | null;
  /** Instructions that copied it, the image's own first. */
  readonly copies: readonly BlameInstruction[];
  /** What wrote it, or took it from its source; null for a base image. */
  readonly instruction: BlameInstruction | null;
  readonly source: BlameSource | null;
  /** It was a member of an archive. */
  readonly unpacked?: true;
};

export type BlameInstruction = {
  readonly text: string;
  readonly stage: string | null;
  readonly file: string;
  /** Null for what stands in no Dockerfile. */
  readonly line: number | null;
  readonly lastLine: number | null;
  /** That it is an instruction of, where this is one that the image stands on. */
  readonly image?: string;
};

export type BlameSource =
  | { readonly kind: 'context'; readonly name: string; readonly address: string | null }
  | { readonly kind: 'url'; readonly url: string; readonly checksum: string | null }
  | { readonly kind: 'git'; readonly remote: string; readonly ref: string; readonly commit: string | null }
  | { readonly kind: 'image'; readonly name: string; readonly digest: string; readonly layer: number | null; readonly layers: number }
  | { readonly kind: 'container'; readonly name: string };

/** `origin`: one of the group; `label`: what it has in common with the others, in words. */
export type BlameSum = { readonly origin: number; readonly files: number; readonly bytes: number; readonly label: string };

export type BlameFile = {
  /** Absolute. */
  readonly path: string;
  readonly kind: 'file' | 'folder' | 'symlink' | 'other';
  /** 0 for a further name of a file. */
  readonly bytes: number;
  /** That has it, from 1 at the bottom. */
  readonly layer: number;
  /** The first name of a file that has several. */
  readonly linkOf?: string;
  readonly content: BlameTrail;
  /** Where mode and owner come from. */
  readonly metadata: BlameTrail;
};

/** `paths`: in what each copy read, then in what the end names; empty where all are the file's own, `""` for one that is not known. */
export type BlameTrail = { readonly origin: number; readonly paths: readonly string[] };
