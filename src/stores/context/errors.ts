/** Errors of the build context that are also seen where its files are copied. */
import { toText } from '#ground/base/byte-string.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { TreeEntry } from '#ground/linux/tree.ts';

/** `context/no-permission`: the entry is there, but not for us. */
export function notReadable(entry: TreeEntry, cause: unknown): JettisonError {
  if (entry.path === '')
    return new JettisonError('context/no-permission', 'Cannot read the build context: permission denied', {
      fault: 'environment',
      hint: 'Make its folder readable, and those that lead there',
      cause,
    });
  return new JettisonError('context/no-permission', `Cannot read "${toText(entry.path)}" in the build context: permission denied`, {
    fault: 'environment',
    hint: 'Make it readable, or name it in .dockerignore',
    cause,
  });
}

/** `context/changed`: what is copied is not what the cache key was made of. `what`: the files, as people know them. */
export function changedWhileCopied(what: string, cause?: unknown): JettisonError {
  return new JettisonError('context/changed', `${what} changed while being copied`, {
    hint: 'Build again when nothing writes to the build context, or leave out with .dockerignore what always changes',
    ...(cause === undefined ? {} : { cause }),
  });
}

/** `context/missing-source`: `written` is what COPY or ADD names. */
export function missingSource(written: string, hint: string | undefined): JettisonError {
  return new JettisonError(
    'context/missing-source',
    `Cannot copy "/${written.replace(/^\/+/u, '')}": not found`,
    hint === undefined ? {} : { hint },
  );
}
