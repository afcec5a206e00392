/** Watches how processes of other namespaces start and end, from the machine's own. It listens while somebody is followed, and no longer: each process of the machine is told of. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemCode } from '#ground/base/errors.ts';
import { openProcessEvents, type ProcessEvents } from './process-events.ts';
import { createProcessFamilies, type SeenProcesses } from './process-families.ts';

export type ProcessWatch = Disposable & {
  /** From now on, until it is left, what a process starts that takes this name for a moment, at most 15 letters and digits. False where this process is not told of others. */
  follow(mark: string): boolean;
  /** The process started under the mark has ended with `code`: see `ProcessFamilies.endedBelow`. Undefined where that cannot be said. */
  endedBelow(mark: string, code: number): Promise<SeenProcesses | undefined>;
  leave(mark: string): void;
};

/** Milliseconds between two looks, and how many events should have come meanwhile at most: the kernel keeps some 500 for us. */
const usualPause = 20;
const leastPause = 2;
const fewEvents = 100;
/** How often, and how long in milliseconds, is waited for an end that a process has had and that was not told yet. */
const tries = 20;
const tryPause = 5;

export function createProcessWatch(): ProcessWatch {
  const families = createProcessFamilies();
  const marks = new Set<string>();
  let events: ProcessEvents | undefined;
  let timer: NodeJS.Timeout | undefined;

  const close = (): void => {
    clearTimeout(timer);
    timer = undefined;
    events?.[Symbol.dispose]();
    events = undefined;
  };
  const take = (): number => {
    const taken = events?.take(families.take);
    if (taken !== undefined) return taken;
    families.lose();
    // Who is followed next makes it listen again.
    close();
    return 0;
  };
  const look = (): number => {
    const taken = take();
    const found = families.nameless().map((process) => ({ process, name: nameOf(process.process) }));
    if (found.length === 0) return taken;
    // A number may be another's by now: who has not ended afterwards was there.
    const more = take();
    for (const { process, name } of found) if (name !== undefined) families.name(process, name);
    return taken + more;
  };
  const isListening = (): boolean => events?.isListening(families.take) ?? false;
  const lookOften = (): void => {
    const taken = look();
    if (events === undefined) return;
    const pause = Math.max(leastPause, Math.min(usualPause, Math.floor((usualPause * fewEvents) / Math.max(1, taken))));
    timer = setTimeout(lookOften, pause).unref();
  };

  return {
    follow(mark) {
      events ??= openProcessEvents();
      if (events === undefined) return false;
      marks.add(mark);
      families.expect(mark);
      if (timer === undefined) lookOften();
      return true;
    },
    async endedBelow(mark, code) {
      for (let left = tries; events !== undefined; left--) {
        look();
        const found = families.endedBelow(mark, code);
        if (found !== 'running') return found !== undefined && isListening() ? found : undefined;
        if (left === 0) return undefined;
        await sleep(tryPause);
      }
      return undefined;
    },
    leave(mark) {
      if (!marks.delete(mark)) return;
      families.forget(mark);
      if (marks.size === 0) close();
    },
    [Symbol.dispose]: close,
  };
}

/** Undefined when it has gone. */
function nameOf(process: number): string | undefined {
  try {
    return readFileSync(`/proc/${process}/comm`, 'utf8').replace(/\n$/u, '');
  } catch (error) {
    if (['ENOENT', 'ESRCH', 'EACCES'].includes(systemCode(error) ?? '')) return undefined;
    throw error;
  }
}
