/** What a digest looks like (OCI image spec, "Digests"). Without hashing, so that pure code can read digests anywhere; `digest.ts` makes them. */
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

/** `sha256` or `sha512`. */
export function algorithmOf(digest: Digest): 'sha256' | 'sha512' {
  return digest.startsWith('sha512:') ? 'sha512' : 'sha256';
}

/** The hexadecimal part. */
export function hexOf(digest: Digest): string {
  return digest.slice(digest.indexOf(':') + 1);
}
