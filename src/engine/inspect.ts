import type { Json } from '#ground/base/canonical-json.ts';
import { notBuilt } from './not-built.ts';
import type { Engine } from './open.ts';
import type { InspectKind } from './requests.ts';

export function inspect(_engine: Engine, _name: string, _kind?: InspectKind): Json {
  return notBuilt('"inspect"');
}
