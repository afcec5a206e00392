/** This command's own streams and a container that another process holds: what is typed goes there, what it writes comes here, until it ends or the detach keys are typed. */
import { makeRaw } from '#execution/worker/raw-terminal.ts';
import { attachContainer, type Attachment, type OnOutput } from '#execution/worker/control.ts';
import type { TerminalSize } from '#execution/worker/contract.ts';
import { writeAll } from './output/write-all.ts';
import { createKeyWatch } from './detach-keys.ts';
import type { Streams } from './command.ts';

export type AttachWish = {
  /** The container's folder. */
  readonly folder: string;
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** The container has a terminal: keys go there as they are typed. */
  readonly terminal: boolean;
  /** As they were asked for: see detach-keys.ts. */
  readonly detachKeys: string;
  /** Called with the name of each signal that this command gets. undefined: signals are not its. */
  readonly onSignal: ((name: NodeJS.Signals) => void) | undefined;
};

/** `detached`: the keys were typed, or nobody serves the container. `code` is undefined where its monitor was killed. */
export type AttachEnd =
  | { readonly kind: 'ended'; readonly code: number | undefined }
  | { readonly kind: 'detached' }
  | { readonly kind: 'absent' };

const passedOn = ['SIGINT', 'SIGTERM', 'SIGQUIT', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGCONT', 'SIGALRM'] as const;

/** The size of the terminal that this command writes to. */
export function terminalSize({ stdout }: Streams): TerminalSize | undefined {
  return stdout.rows === undefined || stdout.columns === undefined ? undefined : { rows: stdout.rows, columns: stdout.columns };
}

/** The terminal is as it was when this returns, or the process ends. */
export async function attachStreams(wish: AttachWish, streams: Streams, signal: AbortSignal): Promise<AttachEnd> {
  const output = { stdout: streams.stdout, stderr: streams.stderr };
  const busy = new Set<Promise<void>>();
  let attachment: Attachment | undefined;
  const take: OnOutput = (name, bytes) => {
    const written = writeAll(output[name], bytes);
    if (written === undefined) return;
    busy.add(written);
    attachment?.pause();
    void written.finally(() => {
      busy.delete(written);
      if (busy.size === 0) attachment?.resume();
    });
  };
  attachment = await attachContainer(wish.folder, wish, take, signal);
  if (attachment === undefined) return { kind: 'absent' };
  using client = attachment;
  using undo = new DisposableStack();
  const detached = Promise.withResolvers<AttachEnd>();
  if (wish.terminal) undo.use(followSize(client, streams));
  if (wish.stdin) undo.use(passInput(client, { ...wish, onDetach: () => detached.resolve({ kind: 'detached' }) }, streams));
  if (wish.onSignal !== undefined) undo.use(passSignals(wish.onSignal));
  const ended = client.ended.then((code): AttachEnd => ({ kind: 'ended', code }));
  const end = await Promise.race([ended, detached.promise]);
  await Promise.all(busy);
  return end;
}

function followSize(client: Attachment, streams: Streams): Disposable {
  const tell = (): void => {
    const size = terminalSize(streams);
    if (size !== undefined) client.resize(size);
  };
  tell();
  streams.stdout.on('resize', tell);
  return { [Symbol.dispose]: () => void streams.stdout.off('resize', tell) };
}

/** What is typed, up to the detach keys; the end of the input is passed on. */
function passInput(
  client: Attachment,
  { terminal, detachKeys, onDetach }: { readonly terminal: boolean; readonly detachKeys: string; readonly onDetach: () => void },
  { stdin }: Streams,
): Disposable {
  const keys = terminal ? createKeyWatch(detachKeys) : undefined;
  const take = (bytes: Uint8Array): void => {
    const { send, isComplete } = keys?.(bytes) ?? { send: bytes, isComplete: false };
    if (send.length > 0 && !client.sendInput(send)) {
      stdin.pause();
      void client.drained().then(() => stdin.resume());
    }
    if (isComplete) onDetach();
  };
  const end = (): void => client.endInput();
  const restore = terminal && stdin.isTTY === true ? makeRaw(0) : nothing;
  // However this process ends, but by SIGKILL.
  process.once('exit', restore);
  stdin.on('data', take).once('end', end);
  return {
    [Symbol.dispose]() {
      stdin.off('data', take).off('end', end).pause();
      restore();
      process.off('exit', restore);
    },
  };
}

function nothing(): void {}

/** Calls `tell` with the name of each signal that this command gets. */
export function passSignals(tell: (name: NodeJS.Signals) => void): Disposable {
  const listeners = passedOn.map((name) => [name, () => tell(name)] as const);
  for (const [name, listener] of listeners) process.on(name, listener);
  return {
    [Symbol.dispose]() {
      for (const [name, listener] of listeners) process.off(name, listener);
    },
  };
}
