/** What the faces are told of the folders that a build may copy from. */

export type ListedContext = {
  /** `context` for the main one. */
  readonly name: string;
  /** Absolute. */
  readonly folder: string;
  /** As people know it; undefined for none. */
  readonly ignoreFile: string | undefined;
  /** All but folders, each folder's before those of the next, names in byte order. */
  readonly files: readonly ListedFile[];
  /** Folders that are left out and that nobody here may read: what is in them is not listed. */
  readonly closed: readonly string[];
};

export type ListedFile = {
  /** In the folder, without a leading slash. */
  readonly path: string;
  readonly kind: 'file' | 'symlink' | 'other';
  /** Bytes; 0 for what is no file. */
  readonly size: number;
  readonly isIgnored: boolean;
  /** What decided; undefined where no rule says anything. */
  readonly rule: ListedRule | undefined;
  /** Instructions that take it, in the order of the build. */
  readonly takenBy: readonly ListedUse[];
};

export type ListedRule = { readonly file: string; readonly line: number; readonly pattern: string };

export type ListedUse = { readonly text: string; readonly stage: string | undefined; readonly line: number | undefined };

export type ContextListing = {
  /** The Dockerfile, as it was named. */
  readonly file: string;
  readonly contexts: readonly ListedContext[];
  /** What an instruction names and the context does not have, in words. */
  readonly missing: readonly string[];
};
