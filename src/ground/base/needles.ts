/** Looks for many byte strings at once in a stream of bytes, in a time that hardly depends on how many they are: Wu and Manber's shifts by pairs of bytes. */

export type Needle = {
  /** What it is called where it is found. */
  readonly id: string;
  /** How the bytes stand for it: `base64`; undefined for the value itself. */
  readonly form?: string;
  /** At least `shortestNeedle`. */
  readonly bytes: Uint8Array;
};

/** `at`: offset of its first byte among all that was taken. */
export type NeedleHit = { readonly needle: Needle; readonly at: number };

export type NeedleSearch = {
  /** The next bytes, of any length; they are read now. Gives a needle that ends in them, the first that is seen. */
  take(bytes: Uint8Array): NeedleHit | undefined;
};

export const shortestNeedle = 4;

/** Throws a RangeError for a needle that is too short. */
export function createNeedleSearch(needles: readonly Needle[]): NeedleSearch {
  if (needles.length === 0) return { take: () => undefined };
  const find = createFinder(needles);
  const kept = needles.reduce((most, { bytes }) => Math.max(most, bytes.length - 1), 0);
  let tail = new Uint8Array();
  let taken = 0;
  return {
    take(bytes) {
      const seam = new Uint8Array(tail.length + Math.min(bytes.length, kept));
      seam.set(tail);
      seam.set(bytes.subarray(0, kept), tail.length);
      const start = taken;
      const across = find(seam);
      const found = across === undefined ? find(bytes) : undefined;
      const hit =
        across === undefined
          ? found && { needle: found.needle, at: start + found.at }
          : { needle: across.needle, at: start - tail.length + across.at };
      taken += bytes.length;
      tail = (bytes.length >= kept ? bytes : seam).slice(-kept);
      return hit;
    },
  };
}

function createFinder(needles: readonly Needle[]): (bytes: Uint8Array) => NeedleHit | undefined {
  const shortest = needles.reduce((least, { bytes }) => Math.min(least, bytes.length), Number.MAX_SAFE_INTEGER);
  if (shortest < shortestNeedle) throw new RangeError(`A needle has fewer than ${shortestNeedle} bytes`);
  const window = Math.min(shortest, 255);
  const shifts = new Uint8Array(1 << 16).fill(window - 1);
  const ends = new Map<number, Needle[]>();
  for (const needle of needles) {
    for (let index = 1; index < window; index++) {
      const pair = pairAt(needle.bytes, index);
      shifts[pair] = Math.min(shifts[pair] ?? 0, window - 1 - index);
      if (index === window - 1) ends.set(pair, [...(ends.get(pair) ?? []), needle]);
    }
  }
  return (bytes) => {
    for (let index = window - 1; index < bytes.length;) {
      // Written out: this is where the time goes.
      const shift = shifts[((bytes[index - 1] ?? 0) << 8) | (bytes[index] ?? 0)] ?? 1;
      if (shift > 0) {
        index += shift;
        continue;
      }
      const at = index - window + 1;
      for (const needle of ends.get(pairAt(bytes, index)) ?? []) if (standsAt(bytes, at, needle.bytes)) return { needle, at };
      index++;
    }
    return undefined;
  };
}

function pairAt(bytes: Uint8Array, index: number): number {
  return ((bytes[index - 1] ?? 0) << 8) | (bytes[index] ?? 0);
}

function standsAt(bytes: Uint8Array, at: number, needle: Uint8Array): boolean {
  if (at + needle.length > bytes.length) return false;
  for (let index = 0; index < needle.length; index++) if (bytes[at + index] !== needle[index]) return false;
  return true;
}
