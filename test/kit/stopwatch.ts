/** Time on a machine that does other things, too. */
import { readFileSync } from 'node:fs';

/**
 * Milliseconds from now on, without those in which something on this machine waited for a processor or a disk (the "some" of pressure stall information, the kernel's
 * Documentation/accounting/psi.rst): what takes long because others are at work does not count. Where the kernel does not say, all of them.
 */
export function startStopwatch(): () => number {
  const [began, waited] = [performance.now(), stalled()];
  return () => Math.max(0, performance.now() - began - (stalled() - waited));
}

/** Milliseconds since the machine was started. */
function stalled(): number {
  return ['cpu', 'io'].reduce((sum, what) => sum + stalledFor(what) / 1000, 0);
}

/** Microseconds. */
function stalledFor(what: string): number {
  try {
    return Number(/^some .*total=(\d+)$/mu.exec(readFileSync(`/proc/pressure/${what}`, 'utf8'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}
