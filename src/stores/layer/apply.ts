/** Layers of images into snapshots. Hostile archives end here: with one error, and nothing written outside the snapshot's folder. */
import { layerCompression } from '#formats/oci/media-types.ts';
import type { Digest } from '#ground/base/digest.ts';
import type { LayerLimits, Unpacked } from './jobs.ts';
import { runJob, type ComingBelow } from './threads.ts';

export type { LayerLimits } from './jobs.ts';

export type ApplyLayerRequest = {
  /** Path of the layer blob, compressed or not; its own digest was verified when it came. */
  readonly file: string;
  /** Bytes that the file will have when it is complete, where it is still being written. */
  readonly size?: number;
  /** Where `file` is found when it has been renamed meanwhile. */
  readonly completeFile?: string;
  readonly mediaType: string;
  /** Digest of the uncompressed tar as the image's config says. */
  readonly diffId: Digest;
  /** An active snapshot's own folder, still empty. */
  readonly folder: string;
  /** Folders of the snapshots below it, topmost first; a promise where they are still being written: it is waited for where an entry leads there. It never rejects. */
  readonly below: readonly string[] | ComingBelow;
  readonly limits?: Partial<LayerLimits>;
};

/** Four million entries, one tebibyte: more than any image, less than what makes a machine useless for hours. */
const defaultLimits: LayerLimits = { entries: 4_000_000, size: 2 ** 40 };

/**
 * Unpacks a layer into a snapshot's folder in the form of overlayfs; gives the bytes of its files, too, and whether it said what the root folder is like (else it is as it was). Runs in a thread; `onProgress` gets bytes of `file` read so far.
 * When it rejects, the folder holds something unfinished: throw the snapshot away.
 *
 * Links of lower layers on the way to an entry are followed inside the root; `..` in a name, a way through a link of the same layer, a
 * hard link to nothing, device 0:0 and a root that is no folder are errors. Attributes of overlayfs and of security modules are left
 * out. Throws `layer/wrong-diff-id`, `layer/too-large`, `layer/disk-full`, `layer/bad-compression`, `layer/unsupported-compression`,
 * `oci/unknown-layer-type`, other `layer/...` and `tar/...` for bad archives.
 */
export async function applyLayer(request: ApplyLayerRequest, onProgress: (bytes: number) => void, signal: AbortSignal): Promise<Unpacked> {
  const { mediaType, below, ...layer } = request;
  layerCompression(mediaType);
  const job = { ...layer, kind: 'apply', limits: { ...defaultLimits, ...request.limits } } as const;
  if (below instanceof Promise) return await runJob({ ...job, below: 'coming' }, onProgress, signal, below);
  return await runJob({ ...job, below }, onProgress, signal);
}
