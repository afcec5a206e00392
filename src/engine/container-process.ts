/** The process of a container that runs. */
import type { Container } from '#execution/container/store.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { Engine } from './open.ts';

/** Its number on this machine and when it began; undefined when it does not run. */
export function processOfContainer(
  _engine: Engine,
  { name, state }: Container,
): { readonly pid: number; readonly start: string } | undefined {
  if (state.kind !== 'running' && state.kind !== 'paused' && state.kind !== 'restarting') return undefined;
  throw new JettisonError('engine/not-built', `Container ${name} is running: its files cannot be reached yet`, {
    hint: 'End it first',
  });
}
