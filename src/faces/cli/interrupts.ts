/** Ctrl-C and its kind as an AbortSignal. */
import { cancelled } from '#ground/base/abort.ts';
import { systemCode } from '#ground/base/errors.ts';
import type { Streams } from './command.ts';

export type Interrupts = Disposable & {
  readonly signal: AbortSignal;
  /** What the process exits with when its work was cut short by a signal; undefined when it was not. */
  exitCode(): number | undefined;
};

/** What of `process` is used. */
export type SignalOwner = {
  on(name: string, listener: () => void): unknown;
  off(name: string, listener: () => void): unknown;
  exit(code: number): void;
};

/** The first SIGINT, SIGTERM or SIGHUP (the terminal was closed) asks the work to stop and clean up; the second one ends the process. A reader of the output that goes away asks to stop, too. */
export function listenForInterrupts(streams: Streams, owner: SignalOwner): Interrupts {
  const controller = new AbortController();
  let code: number | undefined;
  const listen = (name: 'SIGINT' | 'SIGTERM' | 'SIGHUP', exitCode: number): Disposable => {
    const stop = (): void => {
      if (code !== undefined) return owner.exit(exitCode);
      code = exitCode;
      controller.abort(cancelled(`Cancelled by ${name}`, name));
    };
    owner.on(name, stop);
    return { [Symbol.dispose]: () => void owner.off(name, stop) };
  };
  streams.stdout.on(
    'error',
    onBrokenPipe(() => controller.abort(cancelled('The reader of the output went away'))),
  );
  streams.stderr.on(
    'error',
    onBrokenPipe(() => {}),
  );
  const all = new DisposableStack();
  all.use(listen('SIGINT', 130));
  all.use(listen('SIGTERM', 143));
  all.use(listen('SIGHUP', 129));
  return { signal: controller.signal, exitCode: () => code, [Symbol.dispose]: () => all.dispose() };
}

/** A reader that went away is no error of ours; anything else is. */
function onBrokenPipe(gone: () => void): (error: Error) => void {
  return (error) => {
    if (systemCode(error) !== 'EPIPE') throw error;
    gone();
  };
}
