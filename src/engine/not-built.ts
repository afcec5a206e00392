/** Use cases that have their door but not yet their work. */
import { JettisonError } from '#ground/base/errors.ts';

export function notBuilt(what: string): never {
  throw new JettisonError('engine/not-built', `${what} is not built yet`);
}
