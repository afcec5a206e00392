import type { Report } from '#formats/progress/event.ts';
import { notBuilt } from './not-built.ts';
import type { Engine } from './open.ts';
import type { RunRequest } from './requests.ts';

export async function run(_engine: Engine, _request: RunRequest, _report: Report, _signal: AbortSignal): Promise<number> {
  return await Promise.resolve(notBuilt('"run"'));
}
