/** What the faces ask and are told of where files of an image came from. */
import type { Explained } from '#formats/origins/explain.ts';
import type { BaseSum, TracedFile } from '#formats/origins/trail.ts';
import type { Digest } from '#ground/base/digest.ts';

export { sumBy, groupings, type Grouping, type Sum } from '#formats/origins/sums.ts';
export type { Explained, Instruction } from '#formats/origins/explain.ts';
export type { TracedFile, Trail } from '#formats/origins/trail.ts';

export type BlameRequest = {
  /** Name or id. */
  readonly image: string;
  readonly platform: string | undefined;
  /** Absolute paths in it; none for all. */
  readonly paths: readonly string[];
  /** Files of base images are listed, too. */
  readonly listsBase: boolean;
  /** Where nothing is known here, the registry is asked that the image came from; left out: it is not. */
  readonly asksRegistry?: boolean;
};

export type Blame = {
  readonly imageId: Digest;
  readonly platform: string;
  /** Is anything known of how it was made? */
  readonly isKnown: boolean;
  /** Another release of jettison kept that, in a form that this one cannot read. */
  readonly isUnreadable: boolean;
  readonly layers: number;
  /** Bytes of all layers' files. */
  readonly size: number;
  /** What `content` and `metadata` of files name by place. */
  readonly routes: readonly Explained[];
  /** Files, folders and links, in byte order of their paths. */
  readonly files: readonly TracedFile[];
  /** Files of base images, by number, where they are not listed. */
  readonly base: readonly BaseSum[];
  /** Words of the history for each layer, bottom first. */
  readonly history: readonly string[];
};
