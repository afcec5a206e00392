/** Which rungs of the ladder builds of a store take, as far as looking tells. */
import { join } from 'node:path';
import type { Isolation, IsolationWish } from '#ground/linux/isolation.ts';
import { rungsToTry } from '#ground/linux/ladder.ts';
import { whyOtherForm } from '#stores/snapshot/form.ts';
import type { Lack } from './contract.ts';

export { isMachineRoot } from '#ground/linux/user-namespace.ts';

/**
 * Best first: what was asked for, else those that can be had. A store that was written on another rung goes on being used there, as long as that can be had. `path`: where
 * newuidmap is looked for.
 */
export function rungsFor(store: string, wish: IsolationWish, path: string): readonly Isolation[] {
  if (wish.isolation !== undefined) return [wish.isolation];
  const rungs = rungsToTry(path);
  const fits = rungs.filter((isolation) => lackOfStore(store, isolation) === undefined);
  return fits.length === 0 ? rungs : fits;
}

/** What keeps a rung from this store, when that was written on another one. */
export function lackOfStore(store: string, isolation: Isolation): Lack | undefined {
  const why = whyOtherForm(join(store, 'snapshots'), isolation);
  return why === undefined ? undefined : { what: 'store', ...why };
}
