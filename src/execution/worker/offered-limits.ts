/** What steps and containers can be limited by, as far as looking tells: for `info`. */
import { noLimits, offeredLimits, type OfferedLimits } from '#execution/runtime/offered-limits.ts';
import type { Isolation } from '#ground/linux/isolation.ts';

export type { OfferedLimits } from '#execution/runtime/offered-limits.ts';

/** Making cgroups takes the machine's root, and what stands in one has to be in mounts of its own. */
export function limitsOn(isolation: Isolation | undefined): OfferedLimits {
  return isolation === 'oci' ? offeredLimits() : noLimits;
}
