/** One running call per key: whoever asks while it runs shares it. It is cancelled when its last waiter leaves, who then waits for its end. */
import { cancelled, childSignal, orAborted } from './abort.ts';

/** Runs `task` for `key`, or joins the one that runs. The task's own signal ends when nobody waits any more. */
export type SingleFlight<K, T> = (key: K, task: (signal: AbortSignal) => Promise<T>, signal: AbortSignal) => Promise<T>;

type Flight<T> = { readonly result: Promise<T>; readonly abort: (reason: Error) => void; waiters: number };

export function createSingleFlight<K, T>(): SingleFlight<K, T> {
  const flights = new Map<K, Flight<T>>();

  const start = (key: K, task: (signal: AbortSignal) => Promise<T>): Flight<T> => {
    const own = childSignal(new AbortController().signal);
    const result = task(own.signal).finally(() => {
      if (flights.get(key) === flight) flights.delete(key);
    });
    result.catch(() => {}); // a failure with no waiter left has nobody to tell
    const flight: Flight<T> = { result, abort: (reason) => own.abort(reason), waiters: 0 };
    flights.set(key, flight);
    return flight;
  };

  return async (key, task, signal) => {
    signal.throwIfAborted();
    const flight = flights.get(key) ?? start(key, task);
    flight.waiters++;
    try {
      return await orAborted(flight.result, signal);
    } finally {
      flight.waiters--;
      if (flight.waiters === 0) {
        if (flights.get(key) === flight) flights.delete(key);
        flight.abort(cancelled('Nobody waits for this any more'));
        await flight.result.catch(() => {});
      }
    }
  };
}
