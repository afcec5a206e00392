/** `jettison history` */
import { historyRows } from '#stores/image/history.ts';
import { findImage } from './images.ts';
import type { Engine } from './open.ts';
import type { HistoryRow } from './image-requests.ts';

/** Newest line first. Throws `image/not-found`. */
export function imageHistory(engine: Engine, name: string): readonly HistoryRow[] {
  return historyRows(findImage(engine, name));
}
