/** What a digest looks like (OCI image spec, "Digests"). Without hashing, so that pure code can read digests anywhere; `digest.ts` makes them. */
import { JettisonError } from './errors.ts';

declare const brand: unique symbol;
export type Digest = string & { readonly [brand]: 'Digest' };

/** Lengths with the algorithm before. Counting them out in a pattern takes ten times as long, which shows where there are thousands. */
const lengths = { 'sha256:': 7 + 64, 'sha512:': 7 + 128 } as const;
const digits = /^[0-9a-f]+$/u;

export function isDigest(text: string): text is Digest {
  const algorithm = text.slice(0, 7);
  if (algorithm !== 'sha256:' && algorithm !== 'sha512:') return false;
  return text.length === lengths[algorithm] && digits.test(text.slice(7));
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
