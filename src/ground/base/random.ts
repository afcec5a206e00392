/** Names that nobody can guess, and nobody else has. */
import { closeSync, openSync, readSync } from 'node:fs';

/** So many random bytes as hexadecimal characters, of the kernel's own (random(4)): `node:crypto` takes four milliseconds to load. */
export function randomHex(bytes: number): string {
  const made = new Uint8Array(bytes);
  const file = openSync('/dev/urandom', 'r');
  try {
    for (let at = 0; at < bytes;) at += readSync(file, made, at, bytes - at, null);
  } finally {
    closeSync(file);
  }
  return Array.from(made, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
