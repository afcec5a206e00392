/** The document of `jettison diff --json`. */
import type { FileChange } from '#engine/container-diff.ts';
import type { DiffDocument } from './diff.ts';

export function diffDocument(changes: readonly FileChange[]): DiffDocument {
  return { version: 1, changes: changes.map(({ kind, path }) => ({ kind, path })) };
}
