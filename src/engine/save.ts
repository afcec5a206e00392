import type { Report } from '#formats/progress/event.ts';
import { notBuilt } from './not-built.ts';
import type { Engine } from './open.ts';
import type { SaveRequest } from './requests.ts';

export async function saveImages(_engine: Engine, _request: SaveRequest, _report: Report, _signal: AbortSignal): Promise<void> {
  return await Promise.resolve(notBuilt('"saveImages"'));
}
