/** The list of where each file of an image came from: made while the files of its stages are there, kept as a blob that belongs to the image. */
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import { decodeList, encodeList, listLimit, type ListDetail, type OriginList } from '#formats/origins/list.ts';
import { originVersion } from '#formats/origins/version.ts';
import type { Traced } from '#formats/origins/trail.ts';
import type { Digest } from '#ground/base/digest.ts';
import { isCode, JettisonError, messageOf } from '#ground/base/errors.ts';
import { createLog } from '#ground/base/log.ts';
import type { Keeper } from '#execution/worker/keeper.ts';
import { parseSnapshotId, type TraceWish } from '#execution/worker/contract.ts';
import { openImageOrigins } from '#stores/image/origins.ts';
import { findOrigins, type KnownOrigins } from './known-origins.ts';
import type { Engine } from './open.ts';

const log = createLog('engine');
/** Images that are listed at most each time the store is tended: the newest. */
const most = 4;
/** Milliseconds for one. */
const longest = 20_000;
/** Bytes of a compressed list that is read. */
export const packedLimit = 32 * 1024 * 1024;

/** Lists the newest images that have a name and no list yet. What fails is left for those who ask. */
export async function listOrigins(engine: Engine, keeper: Pick<Keeper, 'traceOrigins'>): Promise<void> {
  const origins = openImageOrigins(engine.database);
  for (const imageId of origins.unlisted().slice(0, most)) {
    const image = engine.images.get(imageId);
    if (image === undefined || image.names.length === 0) continue;
    try {
      const signal = AbortSignal.timeout(longest);
      const known = findOrigins(engine, image);
      if (known.top === undefined) continue;
      const list = await makeList(known, async (wish) => await keeper.traceOrigins(wish, signal));
      await keepList(engine, imageId, list, signal);
    } catch (error) {
      log('no list of origins of %s: %s', imageId, messageOf(error));
    }
  }
}

/** Of an image whose steps' files are here. */
export async function makeList(known: KnownOrigins, trace: (wish: TraceWish) => Promise<Traced>): Promise<OriginList> {
  const { records, images, names, top } = known;
  const traced = await trace({ top: top === undefined ? undefined : parseSnapshotId(top), records, images, listsBase: false });
  return { version: originVersion, records, names, ...traced };
}

export async function keepList(engine: Engine, imageId: Digest, list: OriginList, signal: AbortSignal): Promise<void> {
  const { digest } = await engine.content.put(await packList(list, 'max'), signal);
  openImageOrigins(engine.database).setFiles(imageId, digest);
}

/** Undefined where none was made, where its blob is gone, and where another release made it. */
export async function readList(engine: Engine, imageId: Digest): Promise<OriginList | undefined> {
  const digest = engine.images.originsList(imageId);
  if (digest === undefined || engine.content.size(digest) === undefined) return undefined;
  try {
    return await unpackList(engine.content.read(digest, packedLimit));
  } catch (error) {
    if (isCode(error, 'origins/other-version')) return undefined;
    throw error;
  }
}

export async function packList(list: OriginList, detail: ListDetail): Promise<Uint8Array> {
  return new Uint8Array(await promisify(gzip)(encodeList(list, detail)));
}

/** Throws `engine/bad-origin-list`, `origins/bad-list`, `origins/other-version`. */
export async function unpackList(bytes: Uint8Array): Promise<OriginList> {
  let text: Uint8Array;
  try {
    text = await promisify(gunzip)(bytes, { maxOutputLength: listLimit });
  } catch (error) {
    throw new JettisonError('engine/bad-origin-list', `Cannot read the list of origins: ${messageOf(error)}`, {
      fault: 'environment',
      cause: error,
    });
  }
  return decodeList(text);
}
