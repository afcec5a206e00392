/**
 * Where random tests begin, and how many of them there are: by environment variables, so that what failed once can be tried again. `SEED` is what a failure printed; `RUNS`
 * says how often as many as usual.
 */

const [seed, factor] = [process.env['SEED'], Number(process.env['RUNS'] ?? 1)];

/** For `fc.assert`, which prints the seed of a property that does not hold. */
export function randomRuns(numRuns = 100): { readonly numRuns: number; readonly seed?: number } {
  return { numRuns: Math.ceil(numRuns * factor), ...(seed === undefined ? {} : { seed: Number(seed) }) };
}

/** Seeds one after another, from 1 on, for tests with random numbers of their own; they print it when they fail. */
export function seeds(count: number): readonly number[] {
  const first = Number(seed ?? 1);
  return Array.from({ length: Math.ceil(count * factor) }, (_, index) => first + index);
}
