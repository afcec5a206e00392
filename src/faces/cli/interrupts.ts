/** Ctrl-C and its kind as an AbortSignal. */
import { cancelled } from '#ground/base/abort.ts';
import { fullDiskHint, JettisonError, systemCode } from '#ground/base/errors.ts';
import type { Output, Streams } from './command.ts';

export type Interrupts = Disposable & {
  readonly signal: AbortSignal;
  /** What the process exits with when its work was cut short by a signal; undefined when it was not. */
  exitCode(): number | undefined;
  /** Work was cut short since nobody reads what it prints: that is nothing to tell. */
  isUnread(): boolean;
  /** Waits for readers that are slow. Gives why something that was written is lost, `cli/output-lost`; undefined also when a reader went away. */
  delivered(): Promise<JettisonError | undefined>;
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
  let lost: JettisonError | undefined;
  let unread = false;
  const listen = (name: 'SIGINT' | 'SIGTERM' | 'SIGHUP', exitCode: number): Disposable => {
    const stop = (): void => {
      if (code !== undefined) return owner.exit(exitCode);
      code = exitCode;
      controller.abort(cancelled(`Cancelled by ${name}`, name));
    };
    owner.on(name, stop);
    return { [Symbol.dispose]: () => void owner.off(name, stop) };
  };
  /** A reader that went away is no error. */
  const onError = (error: Error, gone: () => void): void => {
    if (systemCode(error) === 'EPIPE') return gone();
    lost ??= outputLost(error);
    controller.abort(lost);
  };
  const onUnread = (): void => {
    unread ||= !controller.signal.aborted;
    controller.abort(cancelled('The reader of the output went away'));
  };
  streams.stdout.on('error', (error) => onError(error, onUnread));
  streams.stderr.on('error', (error) => onError(error, () => undefined));
  const all = new DisposableStack();
  all.use(listen('SIGINT', 130));
  all.use(listen('SIGTERM', 143));
  all.use(listen('SIGHUP', 129));
  return {
    signal: controller.signal,
    exitCode: () => code,
    isUnread: () => unread,
    delivered: async () => {
      await Promise.all([streams.stdout, streams.stderr].map(allWritten));
      return lost;
    },
    [Symbol.dispose]: () => all.dispose(),
  };
}

/** What was written before, or what became of it, is known when one more write is done; errors are told a turn later. */
async function allWritten(stream: Output): Promise<void> {
  if (stream.destroyed) return;
  await new Promise<void>((done) => void stream.once('close', done).write('', () => setImmediate(done)));
}

function outputLost(cause: Error): JettisonError {
  const code = systemCode(cause);
  return new JettisonError('cli/output-lost', `Cannot write the output: ${code ?? cause.message}`, {
    fault: 'environment',
    cause,
    hint: code === 'ENOSPC' ? fullDiskHint : 'Give another place for it',
  });
}
