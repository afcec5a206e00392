/** Layers of an image to a registry: blobs of the store as they are, the others while they are compressed. */
import { childSignal } from '#ground/base/abort.ts';
import type { Digest } from '#ground/base/digest.ts';
import { isCode } from '#ground/base/errors.ts';
import { createLimit } from '#ground/base/limit.ts';
import type { Descriptor } from '#formats/oci/descriptor.ts';
import type { Reference } from '#formats/oci/reference.ts';
import type { Report } from '#formats/progress/event.ts';
import { followFile } from '#stores/content/growing.ts';
import { removeSegments } from '#stores/content/segment.ts';
import type { ImageRecord } from '#stores/image/store.ts';
import { findBlob, pushBlob, pushGrowingBlob, type PushBlobRequest } from '#stores/transfer/push.ts';
import {
  eachLayer,
  keepBlob,
  knownBlob,
  startBlob,
  type BlobForm,
  type MadeLayer,
  type MakeLayer,
  type MakingBlob,
} from './layer-blobs.ts';
import type { Engine } from './open.ts';

export type PushLayersRequest = {
  readonly record: ImageRecord;
  readonly form: BlobForm;
  readonly reference: Reference;
  /** Repositories of the same registry that may have the layers. */
  readonly mountFrom: readonly string[];
};

/** A layer that has become longer than this while it is compressed is sent from then on; shorter ones are asked for by digest first. */
const longLayer = 8 << 20;
const uploadsAtOnce = 4;

/** Gives the descriptors, bottom first: the repository has all of them. Throws `engine/missing-layer`, `engine/layer-changed`, `layer/...`, `registry/...`. */
export async function pushLayers(
  engine: Engine,
  request: PushLayersRequest,
  report: Report,
  signal: AbortSignal,
): Promise<readonly Descriptor[]> {
  const { record, form, reference, mountFrom } = request;
  const client = await engine.registry();
  const limit = createLimit(uploadsAtOnce);
  const target: PushBlobRequest = {
    reference,
    client,
    mountFrom,
    openBlob: (digest, offset, own) => engine.content.openStream(digest, offset, own),
  };
  const present = async (descriptor: Descriptor, own: AbortSignal): Promise<Descriptor> => {
    await limit(async () => await pushBlob(target, descriptor, report, own), own);
    return descriptor;
  };
  const send = async (layer: MadeLayer, passes: boolean, parent: AbortSignal): Promise<Descriptor> => {
    using own = childSignal(parent);
    const making = await startBlob(engine, { ...layer, passes }, form, report, own.signal);
    const isSent = await sendGrowing(target, { ...making, item: layer.diffId }, report, own.signal).catch(async (error: unknown) => {
      // What is still written stops, and nobody leaves before it has; what is complete need not be compressed again by the next push.
      own.abort(error instanceof Error ? error : new Error(String(error)));
      const [end] = await Promise.allSettled([making.complete]);
      if (end.status === 'fulfilled' && parent.aborted) removeSegments(making.file, end.value.segments);
      else if (end.status === 'fulfilled') await keepBlob(engine, { ...layer, ...making, blob: end.value }, form, parent);
      throw error;
    });
    const descriptor = await keepBlob(engine, { ...layer, ...making, blob: await making.complete }, form, parent);
    return isSent ? descriptor : await present(descriptor, parent);
  };
  const make: MakeLayer = async (layer, parent) => {
    const known = knownBlob(engine, layer.diffId, form);
    if (known !== undefined && (await findBlob(target, known, report, parent))) return known;
    try {
      return await send(layer, true, parent);
    } catch (error) {
      // A registry that forgot an upload wants what is gone already: it is all made once more, and nothing is given away meanwhile.
      if (!isCode(error, 'content/passed')) throw error;
      return await send(layer, false, parent);
    }
  };
  return await eachLayer(engine, record, { form, present, make }, report, signal);
}

/** Gives whether the blob was sent: a short one is not. */
async function sendGrowing(
  target: PushBlobRequest,
  making: MakingBlob & { readonly item: Digest },
  report: Report,
  signal: AbortSignal,
): Promise<boolean> {
  using file = await followFile(making.file, making.complete, signal);
  if (!(await file.exceeds(longLayer, signal))) return false;
  const { item, complete } = making;
  await pushGrowingBlob(target, { item, complete, open: (offset, own) => file.read(offset, own) }, report, signal);
  return true;
}
