/** When a container that has ended is started again: docker's policies and pauses. Nothing restarts it when its monitor is gone. */
import type { Container } from '#execution/container/store.ts';
import type { Engine } from './open.ts';

export type Restarts = {
  /** Is it to be started again after this exit code? */
  isDue(code: number): boolean;
  /** Waits as long as is due: longer after each run that was short. False when somebody wants it to stop meanwhile. */
  wait(signal: AbortSignal): Promise<boolean>;
};

/** Milliseconds: the first pause, the longest, and a run that counts as one that worked. */
const firstPause = 100;
const longestPause = 60_000;
const goodRun = 10_000;
const lookEvery = 100;

export function createRestarts(engine: Engine, { id }: Container): Restarts {
  let count = 0;
  let pause = firstPause;
  const isToStop = (): boolean => engine.containers.find(id)?.isToStop !== false;
  return {
    isDue(code) {
      // It may have another policy by now.
      const { policy, maximum } = engine.containers.find(id)?.spec.restart ?? { policy: 'no', maximum: 0 };
      if (policy === 'no' || isToStop()) return false;
      return policy !== 'on-failure' || (code !== 0 && (maximum === 0 || count < maximum));
    },
    async wait(signal) {
      count++;
      const { started = 0, ended = 0 } = engine.containers.find(id)?.state ?? {};
      if (ended - started >= goodRun) pause = firstPause;
      for (let left = pause; left > 0; left -= lookEvery) {
        await sleep(Math.min(left, lookEvery));
        if (signal.aborted || isToStop()) return false;
      }
      pause = Math.min(2 * pause, longestPause);
      return true;
    },
  };
}

async function sleep(milliseconds: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  setTimeout(resolve, milliseconds);
  await promise;
}
