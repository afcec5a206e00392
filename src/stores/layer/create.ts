/** Snapshots to layers. A layer is never kept: its tar is made from the snapshot's folder when it is asked for, the same bytes every time. */
import type { LayerBlob, LayerFormat, LayerIdentity, LayerSource } from './jobs.ts';
import { identifySmallLayer } from './making/small.ts';
import { runJob, threadCount } from './threads.ts';

export type { LayerBlob, LayerFormat, LayerIdentity, LayerSource } from './jobs.ts';

/**
 * DiffID and size (bytes of its files) of the layer that a snapshot makes. Nothing is written. Runs in a thread unless the layer is small.
 * Throws `layer/reserved-name` for a file whose name begins with `.wh.`, `layer/file-changed`, and `layer/secret-found` where needles are given.
 */
export async function layerIdentity(source: LayerSource, signal: AbortSignal): Promise<LayerIdentity> {
  signal.throwIfAborted();
  return identifyHere(source) ?? (await runJob({ ...source, kind: 'identity' }, () => undefined, signal));
}

/** Undefined also for what fails: the thread meets the same fault, and says it in the words of all jobs. */
function identifyHere(source: LayerSource): LayerIdentity | undefined {
  try {
    return identifySmallLayer(source);
  } catch {
    return undefined;
  }
}

export type WriteLayerRequest = LayerSource & BlobRequest;

type BlobRequest = {
  readonly format: LayerFormat;
  /** Of the compression: gzip 1 to 9 (5 when not said), zstd 1 to 19 (3). */
  readonly level?: number;
  /** Path of a file that is not there yet. It is complete when the promise resolves (not synced) and gone when it rejects. */
  readonly file: string;
  /** Somebody takes the bytes on as they come: what shrinks little may be left in segments (`#stores/content/segment.ts`). */
  readonly passes?: boolean;
  /** Blocks compressed at once; as many as the machine has cores when not said. The bytes do not depend on it. */
  readonly width?: number;
};

/** Writes the layer of a snapshot; give the same `below` as for its identity. `onProgress` gets bytes of the tar so far. Throws as `layerIdentity`, and `layer/disk-full`. */
export async function writeLayer(request: WriteLayerRequest, onProgress: (bytes: number) => void, signal: AbortSignal): Promise<LayerBlob> {
  return await runJob({ width: threadCount, passes: false, ...request, kind: 'write' }, onProgress, signal);
}

/** Writes a layer's blob once more, in another form: the bytes of its tar stay. `blob`: absolute path of one that is complete. Throws `layer/bad-compression`, `layer/disk-full`. */
export async function recompressLayer(
  request: BlobRequest & { readonly blob: string },
  onProgress: (bytes: number) => void,
  signal: AbortSignal,
): Promise<LayerBlob> {
  return await runJob({ width: threadCount, passes: false, ...request, kind: 'recompress' }, onProgress, signal);
}
