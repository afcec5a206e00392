import { notBuilt } from './not-built.ts';
import type { Engine } from './open.ts';
import type { ContainerRow } from './requests.ts';

export function listContainers(_engine: Engine, _options: { readonly all: boolean }): readonly ContainerRow[] {
  return notBuilt('"listContainers"');
}

export async function removeContainers(
  _engine: Engine,
  _names: readonly string[],
  _options: { readonly force: boolean },
  _signal: AbortSignal,
): Promise<readonly string[]> {
  return await Promise.resolve(notBuilt('"removeContainers"'));
}
