/** Asking a container that runs, over the control socket in its folder. */
import type { Duplex } from 'node:stream';
import { orAborted } from '#ground/base/abort.ts';
import { JettisonError, systemCode } from '#ground/base/errors.ts';
import { startOf } from '#ground/base/process-identity.ts';
import { sendSignal } from '#ground/linux/child.ts';
import { connectLocal } from '#ground/linux/local-socket.ts';
import type { Usage } from '#execution/runtime/usage.ts';
import {
  controlSocket,
  createControlReader,
  frameKinds,
  frameOf,
  readAnswer,
  readExit,
  sizeBytes,
  type ControlAnswer,
  type ControlRequest,
  type Frame,
} from './control-protocol.ts';

export type { ControlRequest } from './control-protocol.ts';
export type { Usage } from '#execution/runtime/usage.ts';
export type ExecCall = NonNullable<Extract<ControlAnswer, { ok: true }>['exec']>;

/** What comes from a container. */
export type Attachment = Disposable & {
  /** Settles when its connection has ended: with the exit code, or undefined where the monitor was killed or this end was disposed. */
  readonly ended: Promise<number | undefined>;
  /** False when no more should be sent before `drained` settles. */
  sendInput(bytes: Uint8Array): boolean;
  drained(): Promise<void>;
  endInput(): void;
  resize(size: { readonly rows: number; readonly columns: number }): void;
  /** No more output is wanted until `resume`. */
  pause(): void;
  resume(): void;
};

export type OnOutput = (stream: 'stdout' | 'stderr', bytes: Uint8Array) => void;

/** Has the container whose folder this is do something. Gives false when nobody serves it: it does not run. Throws what it refuses with, and `worker/no-answer`, as all that is asked here. */
export async function askContainer(folder: string, request: ControlRequest, signal: AbortSignal): Promise<boolean> {
  const opened = await open(folder, request, () => undefined, signal);
  opened?.connection.destroy();
  return opened !== undefined;
}

/** How one more process is started in the container; undefined when nobody serves it, or it is just ending. Throws what the preparation throws. */
export async function askExec(
  folder: string,
  request: Omit<Extract<ControlRequest, { kind: 'exec' }>, 'kind'>,
  signal: AbortSignal,
): Promise<ExecCall | undefined> {
  const opened = await open(folder, { kind: 'exec', ...request }, () => undefined, signal);
  opened?.connection.destroy();
  return opened?.answer.exec;
}

/** What the container uses; undefined when nobody serves it, or it is just beginning or ending. */
export async function askUsage(folder: string, signal: AbortSignal): Promise<Usage | undefined> {
  const opened = await open(folder, { kind: 'usage' }, () => undefined, signal);
  opened?.connection.destroy();
  return opened?.answer.usage;
}

/** Waits with others for the end of a container; undefined when nobody serves it. */
export async function watchContainer(folder: string, signal: AbortSignal): Promise<(Pick<Attachment, 'ended'> & Disposable) | undefined> {
  return await attach(folder, { kind: 'watch' }, () => undefined, signal);
}

/** Attaches to a container; undefined when nobody serves it. What it writes from now on goes to `onOutput`. */
export async function attachContainer(
  folder: string,
  wants: { readonly stdin: boolean; readonly stdout: boolean; readonly stderr: boolean },
  onOutput: OnOutput,
  signal: AbortSignal,
): Promise<Attachment | undefined> {
  return await attach(folder, { kind: 'attach', ...wants }, onOutput, signal);
}

async function attach(folder: string, request: ControlRequest, onOutput: OnOutput, signal: AbortSignal): Promise<Attachment | undefined> {
  let code: number | undefined;
  const onFrame = ({ kind, bytes }: Frame): void => {
    if (kind === frameKinds.stdout) onOutput('stdout', bytes);
    else if (kind === frameKinds.stderr) onOutput('stderr', bytes);
    else if (kind === frameKinds.exit) code = readExit(bytes);
  };
  const opened = await open(folder, request, onFrame, signal);
  if (opened === undefined) return undefined;
  const { connection } = opened;
  const send = (kind: number, bytes: Uint8Array): boolean => connection.destroyed || connection.write(frameOf(kind, bytes));
  return {
    ended: opened.closed.then(() => code),
    sendInput: (bytes) => send(frameKinds.stdin, bytes),
    drained: async () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      if (connection.destroyed || !connection.writableNeedDrain) resolve();
      else connection.once('drain', resolve).once('close', resolve);
      await promise;
    },
    endInput: () => void send(frameKinds.endOfStdin, new Uint8Array(0)),
    resize: (size) => void send(frameKinds.resize, sizeBytes(size)),
    pause: () => void connection.pause(),
    resume: () => void connection.resume(),
    [Symbol.dispose]: () => void connection.destroy(),
  };
}

/** Kills a process that holds a container, by what was written down of it, where it is still that one: when nobody answers there. */
export function endHolder(holder: { readonly pid: number; readonly start: string | null } | null): void {
  if (holder !== null && holder.start !== null && startOf(holder.pid) === holder.start) sendSignal(holder.pid, 9);
}

/** Milliseconds. */
const longestAnswer = 10_000;

/** Connects, asks and waits for the answer, as long as the signal lets it; frames that follow go to `onFrame`. Throws `worker/no-answer`. */
async function open(
  folder: string,
  request: ControlRequest,
  onFrame: (frame: Frame) => void,
  signal: AbortSignal,
): Promise<
  { readonly connection: Duplex; readonly closed: Promise<void>; readonly answer: Extract<ControlAnswer, { ok: true }> } | undefined
> {
  const connection = await tryConnect(folder);
  if (connection === undefined) return undefined;
  const closed = Promise.withResolvers<void>();
  const answered = Promise.withResolvers<string | undefined>();
  const read = createControlReader(answered.resolve, onFrame);
  connection.on('data', (bytes: Uint8Array) => {
    try {
      read(bytes);
    } catch {
      connection.destroy();
    }
  });
  connection.once('end', () => connection.destroy());
  connection.once('close', () => {
    answered.resolve(undefined);
    closed.resolve();
  });
  connection.write(`${JSON.stringify(request)}\n`);
  const timer = setTimeout(() => {
    answered.reject(noAnswer());
    connection.destroy();
  }, longestAnswer);
  const line = await orAborted(answered.promise, signal)
    .finally(() => clearTimeout(timer))
    .catch((error: unknown) => {
      connection.destroy();
      throw error;
    });
  if (line === undefined) return undefined;
  const answer = readAnswer(line);
  if (answer?.ok === true) return { connection, closed: closed.promise, answer };
  connection.destroy();
  throw new JettisonError(answer?.code ?? 'worker/bad-control', answer?.message ?? 'The container gave no answer', {
    fault: 'environment',
    ...(answer?.hint === undefined ? {} : { hint: answer.hint }),
  });
}

function noAnswer(): JettisonError {
  return new JettisonError('worker/no-answer', `The process that holds the container did not answer in ${longestAnswer / 1000} seconds`, {
    fault: 'environment',
    hint: 'It is stopped, or the machine is very busy. "jettison rm -f" ends it in any case, and removes the container',
  });
}

async function tryConnect(folder: string): Promise<Duplex | undefined> {
  try {
    return await connectLocal({ folder, name: controlSocket });
  } catch (error) {
    if (['ENOENT', 'ECONNREFUSED', 'ECONNRESET', 'ENOTDIR'].includes(systemCode(error) ?? '')) return undefined;
    throw error;
  }
}
