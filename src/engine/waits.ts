/** Whoever reports on what the network keeps waiting. */
import type { Report } from '#formats/progress/event.ts';

export type Waits = {
  /** Says one sentence to all that listen, as a note; to `otherwise` when nobody does. The same again within seconds is not said. */
  readonly tell: (text: string) => void;
  /** From now on, until it is disposed. */
  readonly toldTo: (report: Report) => Disposable;
};

/** Several blobs that wait for one host say the same. */
const once = 5000;

/** `now` in milliseconds. */
export function createWaits(otherwise: Report, now: () => number): Waits {
  const listeners = new Map<symbol, Report>();
  const said = new Map<string, number>();
  return {
    tell(text) {
      const time = now();
      for (const [known, at] of said) if (time - at >= once) said.delete(known);
      if (said.has(text)) return;
      said.set(text, time);
      const heard = listeners.size === 0 ? [otherwise] : new Set(listeners.values());
      for (const report of heard) report({ kind: 'note', text });
    },
    toldTo(report) {
      const key = Symbol('listener');
      listeners.set(key, report);
      return { [Symbol.dispose]: () => void listeners.delete(key) };
    },
  };
}
