import { notBuilt } from './not-built.ts';
import type { Engine } from './open.ts';
import type { ImageRow, RemovedImage } from './requests.ts';

export function listImages(_engine: Engine, _options: { readonly filter?: string; readonly all: boolean }): readonly ImageRow[] {
  return notBuilt('"listImages"');
}

export function tagImage(_engine: Engine, _source: string, _target: string): void {
  return notBuilt('"tagImage"');
}

export async function removeImages(
  _engine: Engine,
  _names: readonly string[],
  _options: { readonly force: boolean },
  _signal: AbortSignal,
): Promise<readonly RemovedImage[]> {
  return await Promise.resolve(notBuilt('"removeImages"'));
}
