/** Answers an engine's calls inside the worker process. */
import { cancelled, childSignal, type ChildSignal } from '#ground/base/abort.ts';
import { createClock } from '#ground/base/clock.ts';
import { unreachable } from '#ground/base/errors.ts';
import type { ProcessWitness } from '#ground/linux/witnessed-processes.ts';
import type { Report } from '#formats/progress/event.ts';
import type { SnapshotId } from '#stores/snapshot/contract.ts';
import { fromWire, toWire, type FromWorker, type ToWorker } from './protocol.ts';
import { openWorkshop, type AskAgent, type CallBack, type Workshop } from './workshop.ts';

type Send = (message: FromWorker) => void;
type Call = Extract<ToWorker, { kind: 'call' }>;

/** A function that takes each message of the engine; answers go to `send`. */
export function createDispatcher(send: Send): (message: ToWorker) => Promise<void> {
  const calls = new Map<number, ChildSignal>();
  const parents = new Map<number, (parent: SnapshotId) => void>();
  const running = new Set<Promise<void>>();
  const root = new AbortController();
  const asked = new Map<number, (message: Uint8Array) => void>();
  let lastNumber = 0;
  const ask = async (id: number, agent: string, message: Uint8Array): Promise<Uint8Array> => {
    const number = ++lastNumber;
    const { promise, resolve } = Promise.withResolvers<Uint8Array>();
    asked.set(number, resolve);
    send({ kind: 'ask', id, number, agent, message });
    return await promise;
  };
  const { witness, tell } = remoteWitness(send);
  let workshop: Promise<Workshop> | undefined;
  let store = '';

  return async (message) => {
    switch (message.kind) {
      case 'open':
        store = message.store;
        workshop = openWorkshop({
          store: message.store,
          engine: message.engine,
          isolation: message.isolation,
          tree: message.tree,
          now: createClock({ least: message.now }),
          note: (text) => send({ kind: 'note', text }),
          witness,
        });
        await announce(workshop, store, send);
        break;
      case 'call':
        if (workshop !== undefined) {
          // Before anything is waited for: what comes next may be about this call.
          using own = childSignal(root.signal);
          const parent = Promise.withResolvers<SnapshotId>();
          calls.set(message.id, own);
          parents.set(message.id, parent.resolve);
          const answering = answer(await workshop, message, { own, store, send, ask, comingParent: async () => await parent.promise });
          running.add(answering);
          await answering;
          running.delete(answering);
          calls.delete(message.id);
          parents.delete(message.id);
        }
        break;
      case 'parent':
        parents.get(message.id)?.(message.parent);
        break;
      case 'cancel':
        calls.get(message.id)?.abort(fromWire(message.reason));
        break;
      case 'signal':
        (await workshop)?.signalContainer(message.container, message.name);
        break;
      case 'answer':
        asked.get(message.number)?.(message.message);
        asked.delete(message.number);
        break;
      case 'witnessed':
        tell(message);
        break;
      case 'close':
        // What still runs clears up after itself first.
        root.abort(cancelled('The build has ended'));
        await Promise.all(running);
        await (await workshop)?.[Symbol.asyncDispose]();
        process.disconnect();
        break;
      default:
        unreachable(message, 'message');
    }
  };
}

type Witnessed = Extract<ToWorker, { kind: 'witnessed' }>;

/** The engine as a witness; `tell` takes its answers. */
function remoteWitness(send: Send): { readonly witness: ProcessWitness; readonly tell: (message: Witnessed) => void } {
  const asked = new Map<number, (message: Witnessed) => void>();
  let lastNumber = 0;
  const ask = async (message: (number: number) => FromWorker): Promise<Witnessed> => {
    const { promise, resolve } = Promise.withResolvers<Witnessed>();
    asked.set(++lastNumber, resolve);
    send(message(lastNumber));
    return await promise;
  };
  return {
    witness: {
      follow: async (mark) => (await ask((number) => ({ kind: 'follow', number, mark }))).follows,
      endedBelow: async (mark, code) => (await ask((number) => ({ kind: 'ended', number, mark, code }))).seen,
      leave: (mark) => send({ kind: 'leave', mark }),
    },
    tell(message) {
      asked.get(message.number)?.(message);
      asked.delete(message.number);
    },
  };
}

async function announce(workshop: Promise<Workshop>, store: string, send: Send): Promise<void> {
  try {
    const { tree } = await workshop;
    send({ kind: 'ready', tree });
  } catch (error) {
    send({ kind: 'failed', id: 0, error: toWire(error, store) });
  }
}

async function answer(
  workshop: Workshop,
  call: Call,
  to: {
    readonly own: ChildSignal;
    readonly store: string;
    readonly send: Send;
    readonly ask: (id: number, agent: string, message: Uint8Array) => Promise<Uint8Array>;
    readonly comingParent: () => Promise<SnapshotId>;
  },
): Promise<void> {
  const { own } = to;
  const report: Report = (event) => to.send({ kind: 'event', id: call.id, event });
  try {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the engine's proxy sends what the contract's types say
    const method = workshop.answers[call.name] as (take: readonly unknown[], back: CallBack, signal: AbortSignal) => Promise<unknown>;
    const tellRead: CallBack['tellRead'] = (read) => to.send({ kind: 'read', id: call.id, read });
    const tellKept: CallBack['tellKept'] = (kept) => to.send({ kind: 'kept', id: call.id, kept });
    const tellPassed: CallBack['tellPassed'] = (ended) => to.send({ kind: 'passed', id: call.id, ended });
    const tellReachable: CallBack['tellReachable'] = () => to.send({ kind: 'reachable', id: call.id });
    const tellStart: CallBack['tellStart'] = ({ pid, program }) => to.send({ kind: 'started', id: call.id, pid, program });
    const ask: AskAgent = async (agent, message) => await to.ask(call.id, agent, message);
    to.send({
      kind: 'done',
      id: call.id,
      give: await method(
        call.take,
        { report, ask, tellRead, tellKept, tellPassed, tellReachable, tellStart, comingParent: to.comingParent },
        own.signal,
      ),
    });
  } catch (error) {
    to.send({ kind: 'failed', id: call.id, error: toWire(own.signal.aborted ? own.signal.reason : error, to.store) });
  }
}
