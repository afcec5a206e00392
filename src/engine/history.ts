import { notBuilt } from './not-built.ts';
import type { Engine } from './open.ts';
import type { HistoryRow } from './requests.ts';

export function imageHistory(_engine: Engine, _name: string): readonly HistoryRow[] {
  return notBuilt('"imageHistory"');
}
