import type { Report } from '#formats/progress/event.ts';
import { notBuilt } from './not-built.ts';
import type { Engine } from './open.ts';
import type { PushedImage, PushRequest } from './requests.ts';

export async function push(_engine: Engine, _request: PushRequest, _report: Report, _signal: AbortSignal): Promise<PushedImage> {
  return await Promise.resolve(notBuilt('"push"'));
}
