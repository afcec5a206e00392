import type { Report } from '#formats/progress/event.ts';
import { notBuilt } from './not-built.ts';
import type { Engine } from './open.ts';
import type { PulledImage, PullRequest } from './requests.ts';

export async function pull(_engine: Engine, _request: PullRequest, _report: Report, _signal: AbortSignal): Promise<PulledImage> {
  return await Promise.resolve(notBuilt('"pull"'));
}
