/**
 * A blob that is sent on and not kept may be written as several files, one after the other: those that are sent are removed, and the pages of
 * one serve the next. Whoever writes waits for that, so that no more than some of them lie there at a time.
 */
import { existsSync, rmSync } from 'node:fs';

/** Bytes after which a new segment begins; the first one may have any length. */
export const segmentLength = 8 << 20;
/** Segments that stay behind the one that is read: what was on its way when a connection broke can be read again. */
export const segmentsBehind = 4;
/** Segments that are there at most. */
const most = 12;

/** The first segment of a file that is written to `path` is `path` itself. A segment is complete as soon as the next one is there. */
export function segmentPath(path: string, index: number): string {
  return index === 0 ? path : `${path}.${index}`;
}

/** May the segment `index` be begun, or must some be read before? */
export function hasRoom(path: string, index: number): boolean {
  return index < most || !existsSync(segmentPath(path, index - most));
}

/** Removes the first `count` segments, as far as they are there. */
export function removeSegments(path: string, count: number): void {
  for (let index = 0; index < count; index++) rmSync(segmentPath(path, index), { force: true });
}
