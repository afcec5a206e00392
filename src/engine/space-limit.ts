/** Sizes as people write them: of what the build cache may take up. */
import { isCode, JettisonError } from '#ground/base/errors.ts';

/** Bytes, a share of the disk, or no limit at all. */
export type SpaceLimit =
  | { readonly kind: 'bytes'; readonly bytes: number }
  | { readonly kind: 'share'; readonly percent: number }
  | { readonly kind: 'none' };

export type Disk = { readonly total: number; readonly free: number };

const GB = 1e9;

/** `10GB`, `500m` (units of 1024, as the docker CLI has them), `20%` of the disk, `none`. Throws `engine/bad-size`. */
export function parseSpaceLimit(text: string): SpaceLimit {
  if (text === 'none') return { kind: 'none' };
  const share = /^(\d{1,3}(?:\.\d{1,3})?)%$/u.exec(text);
  if (share && Number(share[1]) <= 100) return { kind: 'share', percent: Number(share[1]) };
  return { kind: 'bytes', bytes: parseBytes(text) };
}

/** `64m`, `1.5GB`, `1000`, `0`, in units of 1024. Throws `engine/bad-size`. */
export function parseBytes(text: string): number {
  const match = /^(\d{1,15}(?:\.\d{1,10})?) ?([kmgtp]?)(?:i?b)?$/iu.exec(text);
  const bytes = match ? Math.floor(Number(match[1]) * 1024 ** ' kmgtp'.indexOf((match[2] || ' ').toLowerCase())) : -1;
  if (bytes >= 0 && bytes <= Number.MAX_SAFE_INTEGER) return bytes;
  throw new JettisonError('engine/bad-size', `Cannot read the size "${text}"`, {
    hint: 'Use bytes with k, m, g or t ("10g"), a share of the disk ("20%"), or "none"',
  });
}

/**
 * Bytes that results nobody holds may take up. Without a limit of the user's: 60% of the disk and 100 GB at most, and less while less than 20% of the disk
 * is free, but never below 10 GB or a tenth of the disk (BuildKit's default policy: https://docs.docker.com/build/cache/garbage-collection/).
 */
export function allowedBytes(limit: SpaceLimit | undefined, disk: Disk, unheld: number): number {
  if (limit?.kind === 'none') return Infinity;
  if (limit?.kind === 'bytes') return limit.bytes;
  if (limit?.kind === 'share') return (disk.total * limit.percent) / 100;
  const lacking = Math.max(0, 0.2 * disk.total - disk.free);
  return Math.max(Math.min(0.1 * disk.total, 10 * GB), Math.min(0.6 * disk.total, 100 * GB, unheld - lacking));
}

/** As in the configuration and the environment. */
export function isSpaceLimit(text: string): boolean {
  try {
    parseSpaceLimit(text);
    return true;
  } catch (error) {
    if (isCode(error, 'engine/bad-size')) return false;
    throw error;
  }
}
