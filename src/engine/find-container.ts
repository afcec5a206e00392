/** Containers as people name them. */
import { JettisonError } from '#ground/base/errors.ts';
import type { Container } from '#execution/container/store.ts';
import type { Engine } from './open.ts';

export type { Container } from '#execution/container/store.ts';

/** Throws `engine/no-such-container`, `container/ambiguous`. */
export function findContainer(engine: Engine, name: string): Container {
  const container = engine.containers.find(name);
  if (container === undefined) throw noSuchContainer(name);
  return container;
}

export function noSuchContainer(name: string): JettisonError {
  return new JettisonError('engine/no-such-container', `No such container: ${name}`, { hint: '"jettison ps -a" lists what is here' });
}
