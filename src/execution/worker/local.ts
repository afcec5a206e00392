/** Starts the worker process of this machine and talks to it. */
import { fileURLToPath } from 'node:url';
import { childSignal } from '#ground/base/abort.ts';
import { isCode, JettisonError } from '#ground/base/errors.ts';
import { createLog } from '#ground/base/log.ts';
import type { AlmostRung, Isolation, TreeForm } from '#ground/linux/isolation.ts';
import {
  startInNamespaces,
  namespacesRefused,
  whyNoNamespaces,
  type NamespaceProcess,
  type ProcessNetwork,
} from '#ground/linux/namespace.ts';
import type { Report } from '#formats/progress/event.ts';
import type { SnapshotId } from '#stores/snapshot/contract.ts';
import type { OpRequest, Worker } from './contract.ts';
import { locateProcess } from './locate.ts';
import { createWatching, type Watching } from './watching.ts';
import { fromWire, toWire, type CallName, type Calls, type FromWorker, type ToWorker } from './protocol.ts';

/** `tree`: by default what works is taken. */
export type LocalWorkerOptions = AlmostRung & {
  /** Folder of the store. */
  readonly store: string;
  /** `inherit`: the worker's standard streams are this process's own, for `jettison run`; `pipe`: they carry files. */
  readonly stdio: 'inherit' | 'pipe' | 'none';
  /** A process on this machine whose user namespace the worker joins, with the rights that its root has there; it sees the processes of the machine then. */
  readonly beside?: number | undefined;
  /** The worker's whole environment. */
  readonly environment: Readonly<Record<string, string>>;
  /** Milliseconds since the epoch: the worker's clock is never behind this one. */
  readonly now: () => number;
  /** Takes what the worker has to say outside any call (a runtime that is too old). */
  readonly report: Report;
  /** Left out: that of this process. */
  readonly network?: ProcessNetwork;
};

type Pending = { readonly resolve: (value: unknown) => void; readonly reject: (error: Error) => void; readonly outside: Outside };
/** What a call may reach in this process before it is done. */
type Outside = {
  readonly report: Report;
  readonly agents?: OpRequest['agents'];
  readonly onRead?: OpRequest['onRead'];
  readonly onFailure?: OpRequest['onFailure'];
  readonly onPassed?: OpRequest['onPassed'];
  readonly onReady?: (() => void) | undefined;
  readonly onStart?: (pid: number, program: readonly string[]) => void;
  readonly parent?: Promise<SnapshotId>;
};

const log = createLog('worker');

/** Starts a worker; resolves when it is ready. It ends with this process, however this process ends. */
export async function startLocalWorker(options: LocalWorkerOptions, signal: AbortSignal): Promise<Worker> {
  signal.throwIfAborted();
  log('starting');
  const stream = options.stdio === 'none' ? 'ignore' : options.stdio;
  const stdio = [
    stream,
    stream,
    options.stdio === 'inherit' || options.environment['NODE_DEBUG'] !== undefined ? 'inherit' : 'ignore',
  ] as const;
  const { isolation, tree, beside } = options;
  const child = await startInNamespaces(
    {
      isolation,
      beside,
      entry: workerEntry(),
      arguments: [],
      stdio,
      environment: options.environment,
      ...(options.network === undefined ? {} : { network: options.network }),
    },
    new AbortController().signal,
  );
  const pending = new Map<number, Pending>();
  const ready = Promise.withResolvers<TreeForm>();
  // Opening the store is the call before all others: what the worker says when that fails has no other number.
  let lastId = 0;
  pending.set(lastId, { resolve: () => undefined, reject: ready.reject, outside: ignore });
  let ended: Error | undefined;

  const send = (message: ToWorker): void => {
    if (ended === undefined) child.send(message);
  };
  const watch = createWatching(send);
  child.onMessage((message) => {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- both ends are this program
    receive(message as FromWorker, { pending, report: options.report, ready: ready.resolve, send, watch });
  });
  void watchEnd(child.exit, (error) => {
    ended = error;
    watch[Symbol.dispose]();
    for (const one of pending.values()) one.reject(error);
    pending.clear();
  });

  const call = async <K extends CallName>(
    name: K,
    take: Calls[K]['take'],
    outside: Outside,
    callSignal: AbortSignal,
  ): Promise<Calls[K]['give']> => {
    callSignal.throwIfAborted();
    if (ended !== undefined) throw ended;
    const id = ++lastId;
    const answer = Promise.withResolvers<unknown>();
    pending.set(id, { resolve: answer.resolve, reject: answer.reject, outside });
    const cancel = (): void => send({ kind: 'cancel', id, reason: toWire(callSignal.reason) });
    callSignal.addEventListener('abort', cancel, { once: true });
    try {
      send({ kind: 'call', id, name, take });
      outside.parent?.then(
        (parent) => send({ kind: 'parent', id, parent }),
        () => undefined, // the call is cancelled
      );
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the worker answers with what its contract says
      return (await answer.promise) as Calls[K]['give'];
    } finally {
      callSignal.removeEventListener('abort', cancel);
      pending.delete(id);
    }
  };

  send({ kind: 'open', store: options.store, engine: process.pid, now: options.now(), isolation, tree });
  let opened: TreeForm;
  try {
    opened = await ready.promise;
  } catch (error) {
    await child[Symbol.asyncDispose]();
    throw isCode(error, 'worker/ended') ? ((await refusal(isolation, options.environment)) ?? error) : error;
  }
  pending.delete(0);
  log('ready');
  return {
    rung: { isolation, tree: opened },
    pid: child.pid,
    streams: child.streams,
    run: async ({ agents, onRead, onFailure, onPassed, ...request }, report, callSignal) => {
      const wire = {
        ...request,
        agents: [...agents.keys()],
        wantsDigests: onRead !== undefined,
        keepsFailure: onFailure !== undefined,
        wantsPassed: onPassed !== undefined,
      };
      return await call('run', [wire], { report, agents, onRead, onFailure, onPassed }, callSignal);
    },
    examine: async (callSignal) => await call('examine', [], ignore, callSignal),
    contentDigest: async (source, action, callSignal) => await call('contentDigest', [source, action], ignore, callSignal),
    layerIdentities: async (top, callSignal) => await call('layerIdentities', [top], ignore, callSignal),
    writeLayer: async (request, report, callSignal) => await call('writeLayer', [request], { report }, callSignal),
    exportTree: async (request, report, callSignal) => await call('exportTree', [request], { report }, callSignal),
    unpackLayer: async ({ parent, ...request }, report, callSignal) => {
      if (!(parent instanceof Promise)) return await call('unpackLayer', [{ ...request, parent }], { report }, callSignal);
      using own = childSignal(callSignal);
      parent.catch((error: unknown) => own.abort(error instanceof Error ? error : new Error(String(error))));
      return await call('unpackLayer', [{ ...request, parent: 'coming' }], { report, parent }, own.signal);
    },
    prepareContainer: async (image, callSignal) => await call('prepareContainer', [image], ignore, callSignal),
    runContainer: async (request, { onReady, onStart, ...session }, callSignal) => {
      const tellStart = (pid: number, program: readonly string[]): void =>
        onStart?.({ ...locateProcess(child.pid ?? 0, isolation, pid), pid, program });
      return await call('runContainer', [request, session], { report: ignore.report, onReady, onStart: tellStart }, callSignal);
    },
    signalContainer: (container, name) => send({ kind: 'signal', container, name }),
    compareLayers: async (request, callSignal) => await call('compareLayers', [request], ignore, callSignal),
    findPackages: async (top, callSignal) => await call('findPackages', [top], ignore, callSignal),
    traceOrigins: async (wish, callSignal) => await call('traceOrigins', [wish], ignore, callSignal),
    listLibraries: async (ids, callSignal) => await call('listLibraries', [ids], ignore, callSignal),
    weighSteps: async (request, callSignal) => await call('weighSteps', [request], ignore, callSignal),
    findPayload: async (wish, callSignal) => await call('findPayload', [wish], ignore, callSignal),
    findHidden: async (layers, callSignal) => await call('findHidden', [layers], ignore, callSignal),
    foldLayers: async (layers, callSignal) => await call('foldLayers', [layers], ignore, callSignal),
    lookAtFile: async (request, callSignal) => await call('lookAtFile', [request], ignore, callSignal),
    readFiles: async (request, callSignal) => await call('readFiles', [request], ignore, callSignal),
    listChanges: async (request, callSignal) => await call('listChanges', [request], ignore, callSignal),
    writeFiles: async (request, callSignal) => await call('writeFiles', [request], ignore, callSignal),
    missing: async (snapshots, callSignal) => await call('missing', [snapshots], ignore, callSignal),
    release: async (snapshots, callSignal) => await call('release', [snapshots], ignore, callSignal),
    [Symbol.asyncDispose]: async () => {
      send({ kind: 'close' });
      await child[Symbol.asyncDispose]();
    },
  };
}

function receive(
  message: FromWorker,
  to: {
    readonly pending: ReadonlyMap<number, Pending>;
    readonly report: Report;
    readonly ready: (tree: TreeForm) => void;
    readonly send: (message: ToWorker) => void;
    readonly watch: Watching;
  },
): void {
  switch (message.kind) {
    case 'ready':
      to.ready(message.tree);
      break;
    case 'note':
      to.report({ kind: 'note', text: message.text });
      break;
    case 'event':
      to.pending.get(message.id)?.outside.report(message.event);
      break;
    case 'read':
      to.pending.get(message.id)?.outside.onRead?.(message.read);
      break;
    case 'kept':
      to.pending.get(message.id)?.outside.onFailure?.(message.kept);
      break;
    case 'passed':
      to.pending.get(message.id)?.outside.onPassed?.(message.ended);
      break;
    case 'reachable':
      to.pending.get(message.id)?.outside.onReady?.();
      break;
    case 'started':
      to.pending.get(message.id)?.outside.onStart?.(message.pid, message.program);
      break;
    case 'ask':
      void answerAgent(message, to);
      break;
    case 'follow':
    case 'ended':
    case 'leave':
      void to.watch.take(message);
      break;
    case 'done':
      to.pending.get(message.id)?.resolve(message.give);
      break;
    case 'failed':
      to.pending.get(message.id)?.reject(fromWire(message.error));
      break;
  }
}

async function watchEnd(exit: NamespaceProcess['exit'], tell: (error: Error) => void): Promise<void> {
  const { code, signal } = await exit;
  tell(
    new JettisonError('worker/ended', `The worker process ended unexpectedly (${signal ?? `exit code ${code ?? 0}`})`, {
      fault: 'environment',
      hint: 'Run it again; NODE_DEBUG=jettison:worker shows more',
    }),
  );
}

/** Why a worker ended before it said anything, where its namespaces are the reason. */
async function refusal(isolation: Isolation, environment: LocalWorkerOptions['environment']): Promise<JettisonError | undefined> {
  const why = await whyNoNamespaces(isolation, environment);
  return why === undefined ? undefined : namespacesRefused(isolation, why);
}

/** Whatever goes wrong with an agent is a refusal to who asked: SSH_AGENT_FAILURE. */
const agentRefusal = new Uint8Array([5]);

async function answerAgent(
  { id, number, agent, message }: Extract<FromWorker, { kind: 'ask' }>,
  to: { readonly pending: ReadonlyMap<number, Pending>; readonly send: (message: ToWorker) => void },
): Promise<void> {
  const answer = to.pending.get(id)?.outside.agents?.get(agent);
  let reply = agentRefusal;
  try {
    if (answer !== undefined) reply = new Uint8Array(await answer(message));
  } catch (error) {
    log('agent %s: %o', agent, error);
  }
  to.send({ kind: 'answer', number, message: reply });
}

const ignore: Outside = { report: () => undefined };

/** The worker's script: beside this file in the sources, `worker.cjs` in a bundle. */
function workerEntry(): string {
  return fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? './main.ts' : './worker.cjs', import.meta.url));
}
