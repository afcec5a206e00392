/**
 * The time of day as one process should see it: what it did first has the earlier time, whatever becomes of the system's clock. Times of files come from the system's
 * clock and are to be compared with that alone.
 */
export type Clock = () => number;

/**
 * Gives whole milliseconds since the epoch: the system's time (`wall`), but for the time after that clock was set back, when it goes on at its own pace (`elapsed`,
 * milliseconds since any moment). Never less than `least`: what another clock has shown already.
 */
export function createClock({
  wall = Date.now,
  elapsed = monotonic,
  least = 0,
}: { readonly wall?: Clock; readonly elapsed?: Clock; readonly least?: number } = {}): Clock {
  let last = least;
  let lastElapsed = elapsed();
  return () => {
    const since = elapsed();
    last = Math.max(last + since - lastElapsed, wall());
    lastElapsed = since;
    return Math.floor(last);
  };
}

/** `performance` loads half of a module that nobody else needs. */
function monotonic(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1000 + nanoseconds / 1e6;
}
