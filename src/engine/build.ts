import type { Report } from '#formats/progress/event.ts';
import { notBuilt } from './not-built.ts';
import type { Engine } from './open.ts';
import type { BuildOutcome, BuildRequest } from './requests.ts';

export async function build(_engine: Engine, _request: BuildRequest, _report: Report, _signal: AbortSignal): Promise<BuildOutcome> {
  return await Promise.resolve(notBuilt('"build"'));
}
