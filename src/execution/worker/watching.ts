/** Watches processes for a worker that cannot see them from where it is: what it asks and is told. */
import { createLog } from '#ground/base/log.ts';
import type { ProcessWatch } from '#ground/linux/process-watch.ts';
import type { FromWorker, ToWorker } from './protocol.ts';

export type Watching = Disposable & {
  /** Never rejects. */
  take(message: Extract<FromWorker, { kind: 'follow' | 'ended' | 'leave' }>): Promise<void>;
};

const log = createLog('worker');

/** Nothing is loaded before the worker asks. Whatever goes wrong is an answer that says nothing. */
export function createWatching(send: (message: ToWorker) => void): Watching {
  let opened: Promise<ProcessWatch> | undefined;
  let watch: ProcessWatch | undefined;
  let isOver = false;
  const open = async (): Promise<ProcessWatch> => {
    const { createProcessWatch } = await import('#ground/linux/process-watch.ts');
    watch = createProcessWatch();
    return watch;
  };
  return {
    async take(message) {
      if (message.kind === 'leave') return watch?.leave(message.mark);
      let [follows, seen]: [boolean, Awaited<ReturnType<ProcessWatch['endedBelow']>>] = [false, undefined];
      try {
        opened ??= open();
        const found = await opened;
        if (message.kind === 'follow') follows = !isOver && found.follow(message.mark);
        else seen = await found.endedBelow(message.mark, message.code);
      } catch (error) {
        log('cannot watch processes: %o', error);
      }
      send({ kind: 'witnessed', number: message.number, follows, seen });
    },
    [Symbol.dispose]() {
      isOver = true;
      watch?.[Symbol.dispose]();
    },
  };
}
