/** `jettison history` */
import type { Digest } from '#ground/base/digest.ts';
import { historyRows } from '#stores/image/history.ts';
import { findForPlatform, findImage } from './images.ts';
import type { Engine } from './open.ts';
import type { HistoryRow } from './image-requests.ts';

/** Newest line first; of an image for several platforms that of the one that is asked for. Throws `image/not-found`, `oci/no-such-platform`. */
export function imageHistory(engine: Engine, name: string, platform?: string): readonly HistoryRow[] {
  const image = platform === undefined ? findImage(engine, name) : findForPlatform(engine, name, platform);
  let below: Digest | undefined = image.imageId;
  return historyRows(image).map((row, index) => {
    if (index > 0) below &&= engine.lineage.parentOf(below);
    return { ...row, id: below ?? row.id };
  });
}
