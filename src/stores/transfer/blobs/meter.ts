/** Lets through at most ten counts a second: nobody reads more. */
const pause = 100;

export function createMeter(tell: (count: number) => void): (count: number) => void {
  let last = -Infinity;
  return (count) => {
    const now = performance.now();
    if (now - last < pause) return;
    last = now;
    tell(count);
  };
}
