/** Sizes of snapshots are found once, by whoever tends the store, and kept in their rows: nobody who asks for them walks through files. */
import { join } from 'node:path';
import { diskUsage } from './disk-usage.ts';
import type { Records } from './records.ts';

/** Measures the committed snapshots of which the size is not known (any more). */
export function measureSnapshots(store: string, records: Pick<Records, 'listUnmeasured' | 'setBytes'>): void {
  const ids = records.listUnmeasured();
  const sizes = diskUsage(new Map(ids.map((id) => [id, join(store, 's', id)])));
  for (const id of ids) records.setBytes(id, sizes.get(id) ?? { bytes: 0, linked: 0 });
}
