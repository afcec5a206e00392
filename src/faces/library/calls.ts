/** How a store's functions run: each opens an engine of its own, ends with its signals, and is waited for when the store is closed. */
import type { ProgressEvent, Report } from '#formats/progress/event.ts';
import { openEngine, type Engine } from '#engine/open.ts';
import { cancelled, orAborted } from '#ground/base/abort.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { BuildEvent, CallOptions, EventOptions } from './call-options.ts';

/** What the functions find around them in the place of the process's own. */
export type Around = {
  readonly folder: string;
  readonly currentFolder: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly note: (text: string) => void;
};

export type Calls = {
  readonly call: <T>(given: CallOptions | undefined, task: (engine: Engine, signal: AbortSignal) => Promise<T>) => Promise<T>;
  /** The same, whose task reports. */
  readonly told: <T>(
    given: EventOptions | undefined,
    task: (engine: Engine, report: Report, signal: AbortSignal) => Promise<T>,
  ) => Promise<T>;
  /** The same, whose task gives pieces, one each time that somebody takes one. It begins with the first, and ends when nobody wants more. */
  readonly stream: <T>(
    given: CallOptions | undefined,
    task: (engine: Engine, give: Give<T>, signal: AbortSignal) => Promise<void>,
  ) => AsyncGenerator<T>;
};

/** Settles when the next piece is wanted. */
export type Give<T> = (piece: T) => Promise<void>;

/** `signal`: of the store as a whole. Disposing cancels what runs and waits for it. */
export function openCalls(around: Around, signal: AbortSignal | undefined): Calls & AsyncDisposable {
  const closing = new AbortController();
  const running = new Set<Promise<unknown>>();
  const call: Calls['call'] = async (given, task) => {
    using own = ownSignal([closing.signal, signal, given?.signal]);
    const work = withEngine(around, task, own.signal);
    running.add(work);
    try {
      return await work;
    } catch (error) {
      throw own.signal.aborted ? own.signal.reason : error;
    } finally {
      running.delete(work);
    }
  };
  return {
    call,
    told: async (given, task) =>
      await call(
        given,
        async (engine, callSignal) => await reporting(given?.onEvent, async (report, own) => await task(engine, report, own), callSignal),
      ),
    stream: (given, task) => pieces(call, given, task),
    [Symbol.asyncDispose]: async () => {
      closing.abort(new JettisonError('library/closed', 'The store was closed'));
      await Promise.allSettled(running);
    },
  };
}

async function withEngine<T>(
  { environment, currentFolder, note }: Around,
  task: (engine: Engine, signal: AbortSignal) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  signal.throwIfAborted();
  const report = (event: ProgressEvent): void => void (event.kind === 'note' && note(event.text));
  await using engine = await openEngine({ environment, currentFolder, report });
  return await task(engine, signal);
}

/** Aborts with the first of them, and with an error of ours, which travels to workers whole. */
function ownSignal(given: readonly (AbortSignal | undefined)[]): Disposable & { readonly signal: AbortSignal } {
  const any = AbortSignal.any(given.filter((one) => one !== undefined));
  const own = new AbortController();
  const follow = (): void => {
    const reason: unknown = any.reason;
    own.abort(reason instanceof JettisonError ? reason : cancelled('Cancelled by its AbortSignal', reason));
  };
  if (any.aborted) follow();
  else any.addEventListener('abort', follow, { once: true });
  return { signal: own.signal, [Symbol.dispose]: () => any.removeEventListener('abort', follow) };
}

async function reporting<T>(
  onEvent: ((event: BuildEvent) => void) | undefined,
  task: (report: Report, signal: AbortSignal) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const own = new AbortController();
  let thrown: { readonly error: unknown } | undefined;
  const report = (event: ProgressEvent): void => {
    if (thrown !== undefined) return;
    try {
      onEvent?.(event);
    } catch (error) {
      thrown = { error };
      own.abort(cancelled('"onEvent" threw'));
    }
  };
  const made = await task(report, AbortSignal.any([signal, own.signal])).catch((error: unknown) => {
    throw thrown === undefined ? error : thrown.error;
  });
  if (thrown !== undefined) throw thrown.error;
  return made;
}

async function* pieces<T>(
  call: Calls['call'],
  given: CallOptions | undefined,
  task: (engine: Engine, give: Give<T>, signal: AbortSignal) => Promise<void>,
): AsyncGenerator<T> {
  const leaving = new AbortController();
  let next = Promise.withResolvers<{ readonly piece: T } | undefined>();
  let taken = Promise.withResolvers<void>();
  const signal = given?.signal === undefined ? leaving.signal : AbortSignal.any([given.signal, leaving.signal]);
  const work = call({ signal }, async (engine, own) => {
    const give = async (piece: T): Promise<void> => {
      next.resolve({ piece });
      await orAborted(taken.promise, own);
    };
    await task(engine, give, own);
  });
  let isOver = false;
  const end = (): void => {
    isOver = true;
    next.resolve(undefined);
  };
  work.then(end, end);
  try {
    for (;;) {
      const got = await next.promise;
      if (got === undefined) break;
      yield got.piece;
      // Cancelled while the piece was in use: nobody is there who would give another.
      if (isOver) break;
      next = Promise.withResolvers();
      const wanted = taken;
      taken = Promise.withResolvers();
      wanted.resolve();
    }
    await work;
  } finally {
    leaving.abort(cancelled('Nobody takes what is left'));
    await work.catch(() => undefined);
  }
}
