/** `jettison history` */
import type { Digest } from '#ground/base/digest.ts';
import { historyRows } from '#stores/image/history.ts';
import { findImage } from './images.ts';
import type { Engine } from './open.ts';
import type { HistoryRow } from './image-requests.ts';

/** Newest line first. Throws `image/not-found`. */
export function imageHistory(engine: Engine, name: string): readonly HistoryRow[] {
  const image = findImage(engine, name);
  let below: Digest | undefined = image.imageId;
  return historyRows(image).map((row, index) => {
    if (index > 0) below &&= engine.lineage.parentOf(below);
    return { ...row, id: below ?? row.id };
  });
}
