/** The Blowfish cipher with bcrypt's expensive key schedule. Schneier, "Description of a New Variable-Length Key, 64-Bit Block Cipher" (1993). */

export type Blowfish = {
  /** Mixes a key (and a salt, else zeros) into the state. */
  expand(key: Uint8Array, salt?: Uint8Array): void;
  /** Encrypts the two words at `at`, in place. */
  encrypt(words: Uint32Array, at: number): void;
};

const rounds = 16;
const subkeyWords = rounds + 2;
const boxWords = 4 * 256;

export function createBlowfish(): Blowfish {
  const first = initialWords();
  const subkeys = Uint32Array.from(first.subarray(0, subkeyWords));
  const boxes = Uint32Array.from(first.subarray(subkeyWords));
  const encrypt = (words: Uint32Array, place: number): void => {
    let left = at(words, place);
    let right = at(words, place + 1);
    for (let round = 0; round < rounds; round++) {
      left ^= at(subkeys, round);
      const sum = (at(boxes, left >>> 24) + at(boxes, 256 + ((left >>> 16) & 255))) | 0;
      const mixed = ((sum ^ at(boxes, 512 + ((left >>> 8) & 255))) + at(boxes, 768 + (left & 255))) | 0;
      [left, right] = [right ^ mixed, left];
    }
    words[place] = right ^ at(subkeys, rounds + 1);
    words[place + 1] = left ^ at(subkeys, rounds);
  };
  return {
    encrypt,
    expand(key, salt) {
      const nextKey = wordsOf(key);
      for (let index = 0; index < subkeyWords; index++) subkeys[index] = at(subkeys, index) ^ nextKey();
      const nextSalt = salt === undefined ? () => 0 : wordsOf(salt);
      const block = new Uint32Array(2);
      for (const words of [subkeys, boxes]) {
        for (let index = 0; index < words.length; index += 2) {
          block[0] = at(block, 0) ^ nextSalt();
          block[1] = at(block, 1) ^ nextSalt();
          encrypt(block, 0);
          words.set(block, index);
        }
      }
    },
  };
}

function at(words: Uint32Array, index: number): number {
  return words[index] ?? 0;
}

/** Bytes as big-endian words, over and over. */
function wordsOf(bytes: Uint8Array): () => number {
  let position = 0;
  return () => {
    let word = 0;
    for (let count = 0; count < 4; count++) {
      word = (word << 8) | (bytes[position] ?? 0);
      position = (position + 1) % bytes.length;
    }
    return word;
  };
}

let kept: Uint32Array | undefined;

/** The state begins with the digits of pi behind the point. They are computed once, in some 20 ms, rather than written down: 4 kB of digits could not be read over. */
function initialWords(): Uint32Array {
  kept ??= piWords(subkeyWords + boxWords);
  return kept;
}

/** Machin's formula, with fixed point numbers. */
function piWords(count: number): Uint32Array {
  const guard = 64n;
  const bits = BigInt(count) * 32n + guard;
  const one = 1n << bits;
  const pi = 4n * (4n * arctangentOfInverse(5n, one) - arctangentOfInverse(239n, one));
  const digits = ((pi - 3n * one) >> guard).toString(16).padStart(count * 8, '0');
  return Uint32Array.from({ length: count }, (_, index) => Number.parseInt(digits.slice(index * 8, index * 8 + 8), 16));
}

function arctangentOfInverse(x: bigint, one: bigint): bigint {
  const square = x * x;
  let power = one / x;
  let sum = power;
  for (let divisor = 3n, sign = -1n; power > 0n; divisor += 2n, sign = -sign) {
    power /= square;
    sum += (sign * power) / divisor;
  }
  return sum;
}
