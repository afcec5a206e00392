/** What one process has open of the snapshots of a folder. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { MountedSnapshot, SnapshotId } from '../contract.ts';
import type { CopiedTrees } from '../copies/trees.ts';
import { tendMark } from '../start-tending.ts';
import type { Records } from './records.ts';
import type { Batch } from './trash.ts';

export type Store = {
  readonly folder: string;
  readonly owner: string;
  /** See `SnapshotStoreOptions`. */
  readonly leavesSmall: boolean;
  /** Where mount points are made. */
  readonly mountFolder: string;
  readonly records: Records;
  readonly boot: string;
  readonly now: () => number;
  /** Open folder `s`. */
  readonly layers: number;
  /** Mount points made so far, and those of them that are free. Making a folder is quick, removing one takes milliseconds. */
  mountPoints: number;
  readonly freeMountPoints: string[];
  /** Where used work folders go. */
  workTrash: Batch | undefined;
  readonly mounted: Set<MountedSnapshot>;
  /** Whole trees, where these are copied. */
  readonly trees: CopiedTrees | undefined;
  /** Which committed snapshots have an opaque root. */
  readonly opaque: Map<SnapshotId, boolean>;
};

/** There is something to do for whoever tends the store next. */
export function leaveTendMark(store: Store): void {
  writeFileSync(join(store.folder, tendMark), '');
}
