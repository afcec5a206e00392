/** What somebody else has read of a folder's files while copying them, as digests of these files. */
import { JettisonError } from '#ground/base/errors.ts';
import { toText } from '#ground/base/byte-string.ts';
import { parseDigest, type Digest } from '#ground/base/digest.ts';
import type { TreeEntry } from '#ground/linux/tree.ts';
import { selectedEntries, type Selection } from './select.ts';
import type { StatCache } from './stat-cache.ts';

/** sha256 of each file, 32 bytes, in the order of a selection's entries; nothing was read before `startedAt` (nanoseconds since the epoch). */
export type ReadDigests = { readonly digests: Uint8Array; readonly startedAt: bigint };

/** Bytes of one digest. */
export const digestLength = 32;

/** Digests of files of a selection that looks as it did when they were read; the stat cache learns them all. Throws `context/no-digest` when there are not as many as files. */
export function learnDigests(
  selection: Selection,
  { digests, startedAt }: ReadDigests,
  statCache: StatCache,
): (entry: TreeEntry) => Digest {
  const known = new Map<string, Digest>();
  let at = 0;
  for (const entry of selectedEntries(selection)) {
    if (entry.kind !== 'file') continue;
    if (at + digestLength > digests.length) throw noDigest(entry);
    const digest = parseDigest(`sha256:${hexAt(digests, at)}`);
    at += digestLength;
    known.set(entry.hostPath, digest);
    statCache.learn(entry, digest, startedAt);
  }
  return (entry) => {
    const digest = known.get(entry.hostPath);
    if (digest === undefined) throw noDigest(entry);
    return digest;
  };
}

function hexAt(bytes: Uint8Array, start: number): string {
  // oxlint-disable-next-line no-restricted-globals
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, digestLength).toString('hex');
}

function noDigest(entry: TreeEntry): JettisonError {
  return new JettisonError('context/no-digest', `Nobody has said what "${toText(entry.path)}" holds`, { fault: 'bug' });
}
