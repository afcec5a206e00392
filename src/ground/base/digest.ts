/** Content digests as in the OCI image spec, "Digests": only sha256 is made; sha512 is read. */
import { createHash, hash } from 'node:crypto';
import { JettisonError } from './errors.ts';

declare const brand: unique symbol;
export type Digest = string & { readonly [brand]: 'Digest' };

const grammar = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/u;

export function isDigest(text: string): text is Digest {
  return grammar.test(text);
}

/** Throws `base/bad-digest`: a digest from outside is checked once, here, before it is used as a key or a path. */
export function parseDigest(text: string): Digest {
  if (!isDigest(text)) throw new JettisonError('base/bad-digest', `Not a digest: "${text.slice(0, 160)}"`);
  return text;
}

/** sha256 of bytes or of the UTF-8 form of a text. */
export function digestOf(data: Uint8Array | string): Digest {
  return mint(hash('sha256', data));
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

/** `sha256` or `sha512`. */
export function algorithmOf(digest: Digest): 'sha256' | 'sha512' {
  return digest.startsWith('sha512:') ? 'sha512' : 'sha256';
}

/** The hexadecimal part. */
export function hexOf(digest: Digest): string {
  return digest.slice(digest.indexOf(':') + 1);
}

function mint(hex: string): Digest {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return `sha256:${hex}` as Digest;
}
