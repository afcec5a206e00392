import type { Report } from '#formats/progress/event.ts';
import { notBuilt } from './not-built.ts';
import type { Engine } from './open.ts';
import type { LoadedImage, LoadRequest } from './requests.ts';

export async function loadImages(
  _engine: Engine,
  _request: LoadRequest,
  _report: Report,
  _signal: AbortSignal,
): Promise<readonly LoadedImage[]> {
  return await Promise.resolve(notBuilt('"loadImages"'));
}
