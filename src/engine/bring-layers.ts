/** Makes a snapshot of layers that lie in a cache elsewhere. Each blob is checked by its digest, each layer by its DiffID. */
import { chainIds } from '#formats/oci/layer-ids.ts';
import { ofItem, type Report } from '#formats/progress/event.ts';
import { childSignal } from '#ground/base/abort.ts';
import type { Digest } from '#ground/base/digest.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { parseSnapshotId, type SnapshotId } from '#execution/worker/contract.ts';
import type { RemoteResult } from './build-caches.ts';
import { unpackChecked } from './fetch-image.ts';
import type { Engine } from './open.ts';

export type Bringing = {
  readonly report: Report;
  readonly signal: AbortSignal;
  /** Told of a layer that cannot be had, or is not what the cache says; gives the error to throw. */
  readonly onBad: (blob: Digest, error: JettisonError) => JettisonError;
};

/** Layers that are unpacked here already are not asked for; the others are downloaded at the same time. Throws what `onBad` gives. */
export async function bringLayers(
  engine: Engine,
  { record, cache }: RemoteResult,
  { report, signal, onBad }: Bringing,
): Promise<SnapshotId> {
  const { layers } = record;
  const ids = chainIds(layers.map(({ diffId }) => diffId));
  engine.hold();
  const known = ids.findLastIndex((id) => engine.images.snapshotOf(id) !== undefined);
  const knownId = ids[known];
  const start = knownId && engine.images.snapshotOf(knownId);
  let top = start === undefined ? undefined : parseSnapshotId(start);
  using own = childSignal(signal);
  const missing = layers.slice(known + 1);
  const downloads = missing.map(async ({ blob }) => await cache.fetch(blob, report, own.signal));
  for (const download of downloads) download.catch(() => undefined);
  try {
    for (const [index, chainId] of ids.slice(known + 1).entries()) {
      const layer = missing[index];
      if (layer === undefined) break;
      const { diffId, blob, createdAt } = layer;
      try {
        await downloads[index];
        const request = {
          parent: top,
          chainId,
          diffId,
          file: engine.content.path(blob.digest),
          mediaType: blob.mediaType,
          madeAt: createdAt,
        };
        const unpack = async (): Promise<SnapshotId> =>
          await (await engine.worker(signal)).unpackLayer(request, ofItem(report, blob.digest), signal);
        top = await unpackChecked(engine, blob.digest, unpack, signal);
      } catch (error) {
        signal.throwIfAborted();
        throw isFaultOfCache(error) ? onBad(blob.digest, error) : error;
      }
      engine.images.setSnapshot(chainId, top);
      engine.images.noteBlob({ diffId, digest: blob.digest, size: blob.size, mediaType: blob.mediaType, madeHere: false });
    }
  } finally {
    own.abort(new JettisonError('engine/not-wanted', 'The layer is not wanted any more', { fault: 'bug' }));
    await Promise.allSettled(downloads);
  }
  if (top === undefined) throw new JettisonError('engine/no-layers', 'A cached result has no layers', { fault: 'bug' });
  return top;
}

/** Not a disk that is full, nor a program that broke. */
function isFaultOfCache(error: unknown): error is JettisonError {
  if (!(error instanceof JettisonError) || !/^(?:registry|object|content|layer|transfer|oci|cache)\//u.test(error.code)) return false;
  return !['content/no-space', 'layer/disk-full', 'layer/thread-failed', 'layer/system-error'].includes(error.code);
}
