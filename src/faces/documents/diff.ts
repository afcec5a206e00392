/** The document of `jettison diff --json` (docs/schemas/diff.schema.json). */

export type DiffDocument = { readonly version: 1; readonly changes: readonly DiffChange[] };

/** `path` is absolute. */
export type DiffChange = { readonly kind: 'added' | 'changed' | 'deleted'; readonly path: string };
