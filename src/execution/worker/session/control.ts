/** The control socket of a container that runs: who may open the store may ask what is asked there. */
import type { Duplex } from 'node:stream';
import { JettisonError, messageOf, unreachable } from '#ground/base/errors.ts';
import type { ExecRequest } from '#execution/ops/container-exec.ts';
import type { ExtraCall, ResourceLimits } from '#execution/runtime/contract.ts';
import type { Usage } from '#execution/runtime/usage.ts';
import { serveLocal } from '#ground/linux/local-server.ts';
import {
  controlSocket,
  createControlReader,
  exitBytes,
  frameKinds,
  frameOf,
  readRequest,
  readSize,
  type ControlAnswer,
  type ControlRequest,
  type Frame,
} from '../control-protocol.ts';
import { connectionSink, type Outputs } from './outputs.ts';

/** What a client can reach of a container. */
export type Controlled = {
  readonly outputs: Outputs;
  /** Its stdin, where clients have it. */
  readonly input: { write(bytes: Uint8Array): boolean; whenDrained(resume: () => void): void; end(): void } | undefined;
  /** Its stdin ends with that of a client. */
  readonly inputEndsWithClient: boolean;
  signal(name: string): void;
  stop(signal: string, seconds: number): void;
  pause(): void;
  resume(): void;
  /** undefined when it has no process, or none any more. */
  exec(request: ExecRequest): ExtraCall | undefined;
  resize(size: { readonly rows: number; readonly columns: number }): void;
  /** undefined when it has no process. */
  usage(): Usage | undefined;
  limit(limits: ResourceLimits): Promise<void>;
  /** The first client is attached. */
  onAttach(): void;
};

export type ControlServer = AsyncDisposable & {
  /** Clients are served from now on, where they were to wait. */
  begin(): Promise<void>;
  /** Tells all clients the exit code, where there is one, and waits at most `limit` milliseconds until they have it. */
  finish(code: number | undefined, limit: number): Promise<void>;
};

/** Serves it in `folder` until it is disposed; `later`: not before `begin`, or its end. */
export async function serveControl(folder: string, container: Controlled, later: boolean): Promise<ControlServer> {
  const waiting = new Set<Duplex>();
  const server = await serveLocal({ folder, name: controlSocket }, (connection) => serveClient(connection, container, waiting), { later });
  return {
    begin: async () => await server.begin(),
    async finish(code, limit) {
      if (code !== undefined) for (const connection of waiting) connection.write(frameOf(frameKinds.exit, exitBytes(code)));
      await server.finish(limit);
    },
    [Symbol.asyncDispose]: async () => await server[Symbol.asyncDispose](),
  };
}

type AttachRequest = Extract<ControlRequest, { kind: 'attach' }>;

function serveClient(connection: Duplex, container: Controlled, waiting: Set<Duplex>): void {
  let attached: AttachRequest | undefined;
  const onLine = (line: string): void => {
    const request = readRequest(line);
    if (request?.kind === 'limit') {
      void applyLimits(request.limits, container).then((answer) => connection.write(`${JSON.stringify(answer)}\n`));
      return;
    }
    const answer = request === undefined ? refusal('worker/bad-control', 'Not a request') : obey(request, container);
    connection.write(`${JSON.stringify(answer)}\n`);
    if (!answer.ok || (request?.kind !== 'attach' && request?.kind !== 'watch')) return;
    waiting.add(connection);
    connection.once('close', () => waiting.delete(connection));
    if (request.kind === 'watch') return;
    attached = request;
    attach(connection, request, container);
  };
  const onFrame = (frame: Frame): void => {
    if (attached !== undefined) takeFrame(connection, frame, { container, hasStdin: attached.stdin });
  };
  const read = createControlReader(onLine, onFrame);
  connection.on('data', (bytes: Uint8Array) => {
    try {
      read(bytes);
    } catch {
      connection.destroy();
    }
  });
}

function attach(connection: Duplex, request: AttachRequest, container: Controlled): void {
  const wants = { stdout: request.stdout, stderr: request.stderr };
  const remove = container.outputs.add(
    connectionSink(connection, (stream, bytes) => (wants[stream] ? frameOf(frameKinds[stream], bytes) : undefined)),
  );
  connection.once('close', () => {
    remove();
    if (request.stdin && container.inputEndsWithClient) container.input?.end();
  });
  container.onAttach();
}

function takeFrame(connection: Duplex, { kind, bytes }: Frame, of: { readonly container: Controlled; readonly hasStdin: boolean }): void {
  const { input, inputEndsWithClient } = of.container;
  if (kind === frameKinds.resize) {
    const size = readSize(bytes);
    if (size !== undefined) of.container.resize(size);
  } else if (kind === frameKinds.stdin && of.hasStdin && input !== undefined && !input.write(bytes)) {
    connection.pause();
    input.whenDrained(() => connection.resume());
  } else if (kind === frameKinds.endOfStdin && of.hasStdin && inputEndsWithClient) input?.end();
}

type SoonDone = Exclude<ControlRequest, { kind: 'limit' }>;

function obey(request: SoonDone, container: Controlled): ControlAnswer {
  try {
    const usage = request.kind === 'usage' ? container.usage() : undefined;
    const exec = act(request, container);
    return {
      ok: true,
      ...(exec === undefined ? {} : { exec: { ...exec, words: [...exec.words] } }),
      ...(usage === undefined ? {} : { usage }),
    };
  } catch (error) {
    return refusalOf(error);
  }
}

async function applyLimits(limits: ResourceLimits, container: Controlled): Promise<ControlAnswer> {
  try {
    await container.limit(limits);
    return { ok: true };
  } catch (error) {
    return refusalOf(error);
  }
}

function refusalOf(error: unknown): ControlAnswer {
  return error instanceof JettisonError ? refusal(error.code, error.message, error.hint) : refusal('worker/failed', messageOf(error));
}

function act(request: SoonDone, container: Controlled): ExtraCall | undefined {
  switch (request.kind) {
    case 'attach':
    case 'watch':
    case 'usage':
      break;
    case 'signal':
      container.signal(request.name);
      break;
    case 'stop':
      container.stop(request.signal, request.seconds);
      break;
    case 'pause':
      container.pause();
      break;
    case 'unpause':
      container.resume();
      break;
    case 'resize':
      container.resize(request);
      break;
    case 'exec':
      return container.exec(request);
    default:
      unreachable(request, 'request');
  }
  return undefined;
}

function refusal(code: string, message: string, hint?: string): ControlAnswer {
  return { ok: false, code, message, ...(hint === undefined ? {} : { hint }) };
}
