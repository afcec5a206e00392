/** This command's own streams and the terminal of a process that it has started. */
import type { ExecProcess } from '#engine/exec-container.ts';
import { makeRaw } from '#execution/worker/raw-terminal.ts';
import { passSignals, terminalSize } from './attached.ts';
import type { Streams } from './command.ts';
import { createKeyWatch } from './detach-keys.ts';
import { writeAll } from './output/write-all.ts';

export { passSignals } from './attached.ts';

type Relay = { readonly stdin: boolean; readonly detachKeys: string };

/** Passes keys, output, sizes and signals on until the process has ended, whose exit code is given, or the detach keys are typed. The terminal is as it was when this returns. */
export async function relayTerminal(
  exec: ExecProcess,
  { stdin: isFed, detachKeys }: Relay,
  streams: Streams,
): Promise<number | 'detached'> {
  const { terminal } = exec;
  if (terminal === undefined) return await exec.ended;
  using undo = new DisposableStack();
  const detached = Promise.withResolvers<'detached'>();
  const drained = Promise.withResolvers<void>();
  terminal.on('data', (bytes: Uint8Array) => {
    const busy = writeAll(streams.stdout, exec.asWritten(bytes));
    if (busy === undefined) return;
    terminal.pause();
    void busy.then(() => terminal.resume());
  });
  // The end of its last process is an error to who reads a terminal.
  terminal.once('error', () => terminal.destroy());
  terminal.once('end', () => terminal.destroy());
  terminal.once('close', drained.resolve);
  const resize = (): void => {
    const size = terminalSize(streams);
    if (size !== undefined) exec.resize(size);
  };
  streams.stdout.on('resize', resize);
  undo.defer(() => void streams.stdout.off('resize', resize));
  undo.use(passSignals((signal) => exec.signal(signal)));
  if (isFed) undo.use(passKeys(exec, { detachKeys, onDetach: () => detached.resolve('detached') }, streams));
  const end = await Promise.race([exec.ended, detached.promise]);
  if (end === 'detached') {
    terminal.removeAllListeners('data').pause();
    exec.leave();
  } else {
    await drained.promise;
    streams.stdout.write(await exec.rest());
  }
  return end;
}

type Keys = { readonly detachKeys: string; readonly onDetach: () => void };

function passKeys({ terminal }: ExecProcess, { detachKeys, onDetach }: Keys, { stdin }: Streams): Disposable {
  const watch = createKeyWatch(detachKeys);
  const take = (bytes: Uint8Array): void => {
    const { send, isComplete } = watch(bytes);
    if (send.length > 0 && terminal !== undefined && !terminal.destroyed && !terminal.write(send)) {
      stdin.pause();
      terminal.once('drain', () => stdin.resume());
    }
    if (isComplete) onDetach();
  };
  const restore = stdin.isTTY === true ? makeRaw(0) : nothing;
  process.once('exit', restore);
  stdin.on('data', take);
  return {
    [Symbol.dispose]() {
      stdin.off('data', take).pause();
      restore();
      process.off('exit', restore);
    },
  };
}

function nothing(): void {}
