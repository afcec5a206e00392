/** The document of `jettison context --json` (docs/context.md, docs/schemas/context.schema.json). */

export type ContextDocument = {
  readonly version: 1;
  /** The Dockerfile's name. */
  readonly dockerfile: string;
  readonly contexts: readonly ContextFolderDocument[];
  /** What instructions name and the context does not have, in words. */
  readonly missing: readonly string[];
};

export type ContextFolderDocument = {
  /** `context` for the main one. */
  readonly name: string;
  readonly folder: string;
  readonly ignoreFile: string | null;
  readonly sent: ContextSum;
  readonly ignored: ContextSum;
  /** Sent, and taken by no instruction. */
  readonly unused: ContextSum;
  readonly files: readonly ContextFileDocument[];
  /** Folders that are left out and may not be read. */
  readonly closed: readonly string[];
};

export type ContextSum = { readonly files: number; readonly bytes: number };

export type ContextFileDocument = {
  readonly path: string;
  readonly kind: 'file' | 'symlink' | 'other';
  readonly size: number;
  readonly state: 'sent' | 'ignored';
  /** The line that decided; null where none says anything. */
  readonly rule: { readonly file: string; readonly line: number; readonly pattern: string } | null;
  readonly takenBy: readonly { readonly instruction: string; readonly stage: string | null; readonly line: number | null }[];
};
