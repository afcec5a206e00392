/** Which vertices will run whatever comes of those below them, so that what they lack can be said before anything runs. */
import type { Digest } from '#ground/base/digest.ts';
import { isNeverCached, type Draft } from './drafts.ts';

/**
 * Of those that must be solved (inputs first): a vertex whose definition key is unknown is found by nothing else when no input of it can be keyed
 * by content later, and when the same is true of all inputs that must be solved themselves, so that their keys will be those of the drafts. One whose cache is ignored
 * runs in any case.
 */
export function certainToRun(missing: ReadonlyMap<Digest, Draft>): readonly Draft[] {
  const certain = new Map<Digest, Draft>();
  for (const [digest, draft] of missing) if (isCertain(draft, missing, certain)) certain.set(digest, draft);
  return [...certain.values()];
}

function isCertain(
  { step, contents, isUnkeyed }: Draft,
  missing: ReadonlyMap<Digest, Draft>,
  certain: ReadonlyMap<Digest, Draft>,
): boolean {
  if (step.ignoreCache) return true;
  const { driver } = step;
  return step.inputs.every((input, index) => {
    if (contents[index] !== undefined || (isUnkeyed && isNeverCached(input))) return true;
    const { digest } = input.vertex;
    if (missing.has(digest) && !certain.has(digest)) return false;
    return driver.contentKey === undefined || driver.readsContent?.(index) === false;
  });
}
