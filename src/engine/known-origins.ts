/** What this store knows of how an image came about: its own record, and those of the images that it stands on. */
import { imageChain, isAsBuilt } from '#formats/origins/chain.ts';
import { decodeOrigins, type OriginRecord } from '#formats/origins/record.ts';
import type { KnownImage } from '#formats/origins/trail.ts';
import { parseDigest, type Digest } from '#ground/base/digest.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { openImageOrigins, type ImageOrigins } from '#stores/image/origins.ts';
import type { ImageRecord } from '#stores/image/store.ts';
import type { Engine } from './open.ts';

export type KnownOrigins = {
  /** The image's own first; none where nothing is known. */
  readonly records: readonly OriginRecord[];
  /** How people call the images of the records; '' for the image itself. */
  readonly names: readonly string[];
  /** Records of images that others stand on. */
  readonly images: readonly KnownImage[];
  /** The snapshot that has the image's files; undefined where that is not known. */
  readonly top: string | undefined;
  /** The same as the last step made it: of a folded image other layers, which tell more. */
  readonly built: string | undefined;
  /** Another release kept of the image in a form of its own how it came about. */
  readonly isUnreadable: boolean;
};

/** Records that are read at most: of the images that the image stands on, and of those that may have been built on it. */
const most = 200;

export function findOrigins(engine: Engine, image: ImageRecord): KnownOrigins {
  const origins = openImageOrigins(engine.database);
  const own = readRecord(origins, image.imageId);
  const record = own ?? recordAbove(origins, image);
  const isUnreadable = (origins.of(image.imageId)?.record.length ?? 0) > 0;
  if (record === undefined) return { records: [], names: [], images: [], top: undefined, built: undefined, isUnreadable };
  const records = [record];
  const names = [''];
  const images: KnownImage[] = [];
  for (let at = 0; at < records.length && records.length < most; at++) {
    for (const { op } of records[at]?.steps ?? []) {
      if (op.kind !== 'image' || op.imageId === null) continue;
      const imageId = parseDigest(op.imageId);
      if (imageId === image.imageId || images.some((known) => known.imageId === imageId)) continue;
      const below = readRecord(origins, imageId);
      if (below === undefined) continue;
      images.push({ imageId, record: records.push(below) - 1 });
      names.push(op.name);
    }
  }
  // A folded image's files lie in other layers than its steps made: those that it has count.
  const built = own?.steps.at(-1)?.snapshot ?? undefined;
  const top = isAsBuilt(record) ? built : (own?.layers.at(-1)?.snapshot ?? undefined);
  return { records, names, images, top, built, isUnreadable: false };
}

/** How an image came about; undefined where this store does not know. */
export function recordOf({ database }: Pick<Engine, 'database'>, imageId: Digest): OriginRecord | undefined {
  return readRecord(openImageOrigins(database), imageId);
}

/** Undefined, too, where another release wrote it down in a form that this one cannot read: no build fails for what is only told. */
function readRecord(origins: ImageOrigins, imageId: Digest): OriginRecord | undefined {
  const stored = origins.of(imageId);
  // Of an image from elsewhere there is a list at most.
  if (stored === undefined || stored.record.length === 0) return undefined;
  try {
    return decodeOrigins(stored.record);
  } catch (error) {
    if (error instanceof JettisonError && error.code === 'origins/bad-record') return undefined;
    throw error;
  }
}

/** Of an image that was built from the same layers and more: images of steps have no record of their own, nor have those whose settings alone are other ones. */
function recordAbove(origins: ImageOrigins, { layers }: ImageRecord): OriginRecord | undefined {
  for (const imageId of origins.list().slice(0, most)) {
    const record = readRecord(origins, imageId);
    const base = record === undefined ? undefined : imageChain(record).base;
    const op = base === undefined ? undefined : record?.steps[base]?.op;
    const own = layers.slice(op?.kind === 'image' ? op.layers : 0);
    if (record !== undefined && own.length > 0 && own.every(({ diffId }, at) => record.layers[at]?.diffId === diffId)) return record;
  }
  return undefined;
}
