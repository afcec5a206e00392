/** Random changes of trees, for tests that compare what became of them in two ways. */
import { systemCode } from '#ground/base/errors.ts';

/** A whole number from 0 to below `end`. */
export type Random = (end: number) => number;

/** The same numbers for the same seed (of `seeds`). */
export function randomNumbers(seed: number): Random {
  let state = seed * 7919;
  return (end) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % end;
  };
}

/** What a change may run into: a name that is taken, gone, or of another kind; a folder that overlayfs does not rename. */
const usual = new Set(['EEXIST', 'ENOENT', 'ENOTDIR', 'EISDIR', 'EXDEV', 'ENOTEMPTY', 'ELOOP', 'EINVAL', 'EPERM']);

/** `more`: codes of errors that these changes may run into, too. */
export function isUsualFailure(error: unknown, more: readonly string[] = []): boolean {
  const code = systemCode(error) ?? '';
  // rmSync of Node 24 gives ELOOP without its code.
  return usual.has(code) || more.includes(code) || /symbolic links/u.test(String(error));
}

/** Makes `count` changes, or as many of them as can be made. */
export function tryChanges(count: number, change: () => void, more: readonly string[] = []): void {
  for (let done = 0; done < count; done++) {
    try {
      change();
    } catch (error) {
      if (!isUsualFailure(error, more)) throw error;
    }
  }
}
