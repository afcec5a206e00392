/** What `history` shows: the config's history, newest first, with the sizes of the layers. */
import { decodeImageConfig } from '#formats/oci/image-config.ts';
import type { ImageRecord } from './store.ts';

export type HistoryTableRow = {
  /** The image's id on the newest line, else `<missing>`: no line below has an image of its own. */
  readonly id: string;
  /** Milliseconds since the epoch: when it was made here, else what the config says; the year 1 (Go's zero time, as Docker writes it) where nobody says. */
  readonly created: number;
  readonly createdBy: string;
  /** Bytes of the uncompressed layer; 0 where the line made none. */
  readonly size: number;
  readonly comment: string;
};

const never = Date.parse('0001-01-01T00:00:00Z');

export function historyRows(image: ImageRecord): readonly HistoryTableRow[] {
  const { history = [] } = decodeImageConfig(image.config, image.imageId);
  let layer = 0;
  const rows = history.map((entry, index) => ({
    id: '<missing>',
    created: image.made?.[index] ?? timeOf(entry.created),
    createdBy: entry.created_by ?? '',
    size: entry.empty_layer === true ? 0 : (image.layers[layer++]?.size ?? 0),
    comment: entry.comment ?? '',
  }));
  return rows.toReversed().map((row, index) => (index === 0 ? { ...row, id: image.imageId } : row));
}

function timeOf(created: string | undefined): number {
  const time = Date.parse(created ?? '');
  return Number.isNaN(time) ? never : time;
}
