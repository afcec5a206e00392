/** What caches have in common that are kept by services of objects: blobs under names of their own, and no manifest. */
import { hexOf } from '#ground/base/digest.ts';
import { childSignal } from '#ground/base/abort.ts';
import { createLimit } from '#ground/base/limit.ts';
import type { Descriptor } from '#formats/oci/descriptor.ts';
import { objectError } from '#stores/object/errors.ts';
import { fetchBlobFrom, type BlobPlace } from '#stores/transfer/fetch-blob.ts';
import type { Engine } from '../open.ts';
import type { CacheWriting, ReadCache } from './contract.ts';

/** Fetching throws `object/...`, `content/...`. `name` tells the place from others. */
export function fetcherFrom(engine: Engine, name: string, download: BlobPlace['download']): ReadCache['fetch'] {
  return async (blob, report, signal) => {
    try {
      await fetchBlobFrom({ name, content: engine.content, download }, blob, report, signal);
    } catch (error) {
      throw objectError(error, []);
    }
  };
}

/** A blob for a service: its bytes are opened when they are asked for. */
export type BlobContent = {
  readonly blob: Descriptor;
  readonly size: number;
  readonly sha256: string;
  open(signal: AbortSignal): AsyncIterable<Uint8Array>;
};

/** Does `write` for each layer and what tells of the steps, so many at once; the first failure ends it. */
export async function writeBlobs(
  { manifest, openBlob, say }: CacheWriting,
  atOnce: number,
  write: (blob: BlobContent, signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  using own = childSignal(signal);
  const limit = createLimit(atOnce);
  const memory = manifest.memory?.descriptor;
  const writes = [...manifest.layers, ...(memory === undefined ? [] : [memory])].map(
    async (blob) =>
      await limit(async () => {
        const open: BlobContent['open'] = (one) => openBlob(blob.digest, 0, one);
        await write({ blob, size: blob.size, sha256: hexOf(blob.digest), open }, own.signal);
        if (blob !== memory) say(`writing layer ${blob.digest} done`);
      }, own.signal),
  );
  for (const one of writes) one.catch((error: unknown) => own.abort(error instanceof Error ? error : new Error(String(error))));
  const settled = await Promise.allSettled(writes);
  if (settled.some(({ status }) => status === 'rejected')) throw own.signal.reason;
}
