/** What `cp` is asked for. */
import type { ImageChoice } from './image-files.ts';

export type CopyFromRequest = {
  /** A container, or an image, whose files are read without a container. */
  readonly source: { readonly kind: 'container'; readonly name: string } | ({ readonly kind: 'image' } & ImageChoice);
  readonly path: string;
  readonly followLink: boolean;
  /** A path of this machine, absolute, with `/` or `/.` at its end as it was typed; or whoever takes the tar. */
  readonly to: string | ((chunk: Uint8Array) => Promise<void>);
};

export type CopyToRequest = {
  readonly container: string;
  readonly path: string;
  readonly followLink: boolean;
  /** Numbers of owners stay; else everything becomes root's. */
  readonly keepsOwners: boolean;
  /** A path of this machine as above, or a tar. */
  readonly from: string | AsyncIterable<Uint8Array>;
};

/** Bytes of the files, and of the tar that they came in. `to`: where they went. */
export type Copied = { readonly content: number; readonly transferred: number; readonly to: string };
