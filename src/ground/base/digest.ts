/** Content digests as in the OCI image spec, "Digests": only sha256 is made; sha512 is read. */
import { createHash, hash } from 'node:crypto';
import { parseDigest, type Digest } from './digest-form.ts';

export { algorithmOf, hexOf, isDigest, parseDigest, type Digest } from './digest-form.ts';

/** sha256 of bytes or of the UTF-8 form of a text. */
export function digestOf(data: Uint8Array | string): Digest {
  return mint(hash('sha256', data));
}

/** The sha256 digest with these 64 hexadecimal characters, which have been checked already: for many of them at once. */
export function digestOfHex(hex: string): Digest {
  return mint(hex);
}

export type Digester = { update(data: Uint8Array | string): void; finish(): Digest };

export function createDigester(algorithm: 'sha256' | 'sha512' = 'sha256'): Digester {
  const state = createHash(algorithm);
  return {
    update(data) {
      state.update(data);
    },
    finish: () => parseDigest(`${algorithm}:${state.digest('hex')}`),
  };
}

function mint(hex: string): Digest {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return `sha256:${hex}` as Digest;
}
