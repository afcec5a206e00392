/** Where files of an image came from: from the layer that has them, copy by copy, to the end of the trail. */
import type { Digest } from '#ground/base/digest.ts';

/** A step of one of the records that a trace was made with. */
export type StepPlace = { readonly record: number; readonly step: number };

/**
 * How a trail ends. `run`: a process wrote it; `copy`: the instruction itself made it (a folder on the way) or set it (--chown, --chmod); `context`: a file of a folder of the client;
 * `heredoc`: text of the Dockerfile; `image`: an image that nothing more is known of; `container`: what `commit` took; `gone`: the files of the step are not in the store any more;
 * `unknown`: nothing is known of how the layer was made.
 */
export type TrailEnd = {
  readonly kind: 'run' | 'copy' | 'context' | 'url' | 'git' | 'heredoc' | 'image' | 'container' | 'gone' | 'unknown';
  /** undefined for `unknown`. */
  readonly at: StepPlace | undefined;
  /** Of `image`: which of its layers has it, from 1 at the bottom; undefined where its files are not here. */
  readonly layer?: number;
  /** Of `image`: the step whose files have it, where that is another stage. */
  readonly stage?: StepPlace;
  /** It was unpacked from an archive. */
  readonly isUnpacked?: boolean;
};

/** What many files have in common. */
export type Route = {
  /** Layer of the image that it came with, from 1 at the bottom. */
  readonly layer: number;
  /** Instructions that copied it, the image's own first. */
  readonly copies: readonly StepPlace[];
  readonly end: TrailEnd;
};

/** One way that a file came. */
export type Trail = {
  /** Place in the list of routes. */
  readonly route: number;
  /**
   * The path in what each copy read, then in what the end names (in a context, an image, an archive's member): absolute, as people read it; '' where it is not known. Left out where all are the file's
   * own path.
   */
  readonly paths: readonly string[];
};

export type TracedFile = {
  /** Absolute. */
  readonly path: string;
  readonly kind: 'file' | 'folder' | 'symlink' | 'other';
  /** Of a regular file; 0 for a further name of a file that counts under another one. */
  readonly bytes: number;
  /** Layer of the image that has it, from 1 at the bottom: its content may have come with a lower one, which has it, too. */
  readonly layer: number;
  /** The first name of a file that has several. */
  readonly linkOf?: string;
  readonly content: Trail;
  /** Where mode and owner come from, if not from there, too. */
  readonly metadata?: Trail;
};

/** Files of an image that nobody copied or wrote in the builds that are known: told by number. */
export type BaseSum = { readonly route: number; readonly files: number; readonly bytes: number };

export type Traced = {
  readonly routes: readonly Route[];
  /** In byte order of their paths. */
  readonly files: readonly TracedFile[];
  /** Of what is not listed. */
  readonly base: readonly BaseSum[];
};

/** An image whose record of origins is known. */
export type KnownImage = { readonly imageId: Digest; readonly record: number };
