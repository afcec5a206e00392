/** Whether limits can be had here, before anything is kept that would need them. */
import type { ResourceLimits } from '#execution/runtime/contract.ts';
import { cannotLimit } from '#execution/runtime/limits.ts';

/** Throws `runtime/limit-unsupported` for a normal user: what has limits could never be started. */
export function requireLimits(limits: ResourceLimits): void {
  if (Object.keys(limits).length > 0 && process.getuid?.() !== 0) throw cannotLimit();
}
