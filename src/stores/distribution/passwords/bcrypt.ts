/** bcrypt, to check passwords: Provos and Mazieres, "A Future-Adaptable Password Scheme" (1999); forms `$2a$`, `$2b$` and `$2y$`, which are one for texts of up to 72 bytes. */
import { timingSafeEqual } from 'node:crypto';
import { createBlowfish, type Blowfish } from './blowfish.ts';

const form = /^\$2[aby]\$(\d{2})\$([./A-Za-z0-9]{22})([./A-Za-z0-9]{31})$/u;
const alphabet = './ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

/** The logarithm of how often a hash was stirred; undefined for what is no hash of bcrypt. */
export function costOf(stored: string): number | undefined {
  const cost = Number(form.exec(stored)?.[1] ?? 0);
  return cost >= 4 && cost <= 31 ? cost : undefined;
}

/** Is `stored` the hash of `password`? Takes 2^cost steps. False for what is no hash. */
export function checkPassword(password: string, stored: string): boolean {
  const [, , salt = '', expected = ''] = form.exec(stored) ?? [];
  const cost = costOf(stored);
  if (cost === undefined) return false;
  // The password with a NUL behind it, over and over.
  const key = new TextEncoder().encode(`${password}\0`).subarray(0, 72);
  const found = hashKey(key, decode(salt).subarray(0, 16), cost);
  return timingSafeEqual(found.subarray(0, 23), decode(expected).subarray(0, 23));
}

function hashKey(key: Uint8Array, salt: Uint8Array, cost: number): Uint8Array {
  const state = createBlowfish();
  state.expand(key, salt);
  for (let left = 2 ** cost; left > 0; left--) {
    state.expand(key);
    state.expand(salt);
  }
  return encryptText(state);
}

/** The six words that every hash is an encryption of. */
function encryptText(state: Blowfish): Uint8Array {
  const words = new Uint32Array(6);
  const text = new TextEncoder().encode('OrpheanBeholderScryDoubt');
  const view = new DataView(text.buffer, text.byteOffset);
  for (let word = 0; word < 6; word++) words[word] = view.getUint32(word * 4);
  for (let pair = 0; pair < 6; pair += 2) for (let times = 0; times < 64; times++) state.encrypt(words, pair);
  const bytes = new Uint8Array(24);
  words.forEach((word, index) => new DataView(bytes.buffer).setUint32(index * 4, word));
  return bytes;
}

/** Base64 with an alphabet of its own and without padding. */
function decode(text: string): Uint8Array {
  const bytes: number[] = [];
  let held = 0;
  let bits = 0;
  for (const character of text) {
    held = ((held << 6) | alphabet.indexOf(character)) & 0xffff;
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    bytes.push((held >>> bits) & 0xff);
  }
  return Uint8Array.from(bytes);
}
