/** Folds progress events into what a screen shows. Pure and bounded: a step that writes for hours keeps a few lines here. */
import type { Digest } from '#ground/base/digest.ts';
import { unreachable } from '#ground/base/errors.ts';
import type { ProgressEvent, TransferProgress, VertexOutput } from './event.ts';

export type VertexState = 'waiting' | 'running' | 'cached' | 'skipped' | 'done' | 'failed' | 'cancelled';

export type VertexTally = {
  readonly vertex: Digest;
  /** `[build 2/4] RUN make`. */
  readonly name: string;
  readonly state: VertexState;
  /** Place among the vertices that have been heard of, from 1; 0 while it waits. What people call it: `#3`. */
  readonly number: number;
  /** Milliseconds since the epoch; 0 while it has not begun. */
  readonly startedAt: number;
  /** 0 while it has not ended. */
  readonly finishedAt: number;
  readonly message: string;
  /** The last whole lines of its output, oldest first. */
  readonly tail: readonly string[];
};

export type TransferTally = TransferProgress & { readonly startedAt: number; readonly finishedAt: number };
export type Warning = Extract<ProgressEvent, { readonly kind: 'warning' }>;

/** A whole line that a step wrote, without its line break. */
export type OutputLine = { readonly text: string; readonly stream: 'stdout' | 'stderr'; readonly time: number };

/** What one event changed. */
export type Change =
  | { readonly kind: 'vertex'; readonly vertex: VertexTally; readonly lines: readonly OutputLine[] }
  | {
      readonly kind: 'transfer';
      readonly transfer: TransferTally;
      readonly isNew: boolean;
      readonly stateChanged: boolean;
      /** For whom, where that has begun. */
      readonly vertex: VertexTally | undefined;
    }
  | { readonly kind: 'warning'; readonly warning: Warning }
  | { readonly kind: 'note'; readonly text: string };

export type Tally = {
  /** Takes the next event; `now` (milliseconds since the epoch) stands in for the time of events that carry none. */
  add(event: ProgressEvent, now: number): Change;
  /** In the order in which they were declared; without those that are part of another one, unless they fail. */
  vertices(): readonly VertexTally[];
  transfers(): readonly TransferTally[];
  warnings(): readonly Warning[];
  /** How many vertices are over, and how many there are. */
  counts(): { readonly finished: number; readonly total: number; readonly cached: number };
};

/** Lines of output kept for each vertex, at least. */
const usualTail = 12;
/** A line without an end is cut into pieces of this many characters. */
const longestLine = 16_384;
/** Warnings beyond this are dropped: they come from a file that somebody wrote. */
const mostWarnings = 1_000;

type Draft = {
  vertex: Digest;
  name: string;
  isPart: boolean;
  state: VertexState;
  number: number;
  startedAt: number;
  finishedAt: number;
  message: string;
  tail: string[];
  open: { stdout: string; stderr: string };
};
type State = {
  vertices: Map<Digest, Draft>;
  transfers: Map<string, TransferTally>;
  warnings: Warning[];
  heardOf: number;
  readonly tailLength: number;
};

/** `tailLength`: how many last lines of output are kept for each vertex. */
export function createTally(tailLength = usualTail): Tally {
  const state: State = { vertices: new Map(), transfers: new Map(), warnings: [], heardOf: 0, tailLength: Math.max(usualTail, tailLength) };
  return {
    add: (event, now) => addEvent(state, event, now),
    vertices: () => shown(state),
    transfers: () => [...state.transfers.values()],
    warnings: () => state.warnings,
    counts: () => {
      const all = shown(state);
      return { finished: all.filter(isOver).length, total: all.length, cached: all.filter((one) => one.state === 'cached').length };
    },
  };
}

/** Has this vertex ended, in whatever way? */
export function isOver(vertex: { readonly state: VertexState }): boolean {
  return vertex.state !== 'waiting' && vertex.state !== 'running';
}

function shown(state: State): readonly Draft[] {
  return [...state.vertices.values()].filter((vertex) => !vertex.isPart);
}

function addEvent(state: State, event: ProgressEvent, now: number): Change {
  switch (event.kind) {
    case 'vertex': {
      const draft = draftOf(state, event.vertex);
      draft.name = nameOf(event);
      draft.isPart = event.isPart ?? false;
      return changed(draft);
    }
    case 'vertex-started':
      return changed(begin(state, event.vertex, event.time));
    case 'output':
      return addOutput(state, begin(state, event.vertex, event.time), event);
    case 'vertex-cached':
      return end(state, event, event.isSkipped === true ? 'skipped' : 'cached');
    case 'vertex-finished':
      return end(state, event, 'done');
    case 'vertex-failed':
      return end(state, event, event.cancelled ? 'cancelled' : 'failed', event.message);
    case 'transfer':
      return addTransfer(state, event, now);
    case 'warning':
      if (state.warnings.length < mostWarnings) state.warnings.push(event);
      return { kind: 'warning', warning: event };
    case 'note':
      return { kind: 'note', text: event.text };
    default:
      return unreachable(event, 'progress event');
  }
}

function nameOf(event: Extract<ProgressEvent, { readonly kind: 'vertex' }>): string {
  const place = event.step === undefined ? '' : `${event.step}/${event.steps ?? event.step}`;
  const label = [event.stage ?? '', place].filter((part) => part !== '').join(' ');
  return label === '' ? event.text : `[${label}] ${event.text}`;
}

function draftOf(state: State, vertex: Digest): Draft {
  const known = state.vertices.get(vertex);
  if (known) return known;
  const draft: Draft = {
    vertex,
    name: vertex,
    isPart: false,
    state: 'waiting',
    number: 0,
    startedAt: 0,
    finishedAt: 0,
    message: '',
    tail: [],
    open: { stdout: '', stderr: '' },
  };
  state.vertices.set(vertex, draft);
  return draft;
}

function begin(state: State, vertex: Digest, time: number): Draft {
  const draft = draftOf(state, vertex);
  if (draft.number === 0 && !draft.isPart) draft.number = ++state.heardOf;
  if (draft.state === 'waiting') {
    draft.state = 'running';
    draft.startedAt = time;
  }
  return draft;
}

function end(
  state: State,
  event: { readonly vertex: Digest; readonly time: number },
  how: Exclude<VertexState, 'waiting' | 'running'>,
  message = '',
): Change {
  if (how === 'failed') draftOf(state, event.vertex).isPart = false;
  const draft = begin(state, event.vertex, event.time);
  const rest = (['stdout', 'stderr'] as const)
    .filter((stream) => draft.open[stream] !== '')
    .map((stream) => ({ text: draft.open[stream], stream, time: event.time }));
  draft.open = { stdout: '', stderr: '' };
  keepTail(state, draft, rest);
  draft.state = how;
  draft.finishedAt = event.time;
  draft.message = message;
  return { kind: 'vertex', vertex: draft, lines: rest };
}

function addOutput(state: State, draft: Draft, event: VertexOutput): Change {
  const parts = (draft.open[event.stream] + event.text).split('\n');
  let rest = parts.pop() ?? '';
  while (rest.length > longestLine) {
    parts.push(rest.slice(0, longestLine));
    rest = rest.slice(longestLine);
  }
  draft.open[event.stream] = rest;
  const lines = parts.map((text) => ({ text, stream: event.stream, time: event.time }));
  keepTail(state, draft, lines);
  return { kind: 'vertex', vertex: draft, lines };
}

function keepTail({ tailLength }: State, draft: Draft, lines: readonly OutputLine[]): void {
  draft.tail.push(...lines.slice(-tailLength).map((line) => line.text));
  if (draft.tail.length > tailLength) draft.tail.splice(0, draft.tail.length - tailLength);
}

function changed(draft: Draft): Change {
  return { kind: 'vertex', vertex: draft, lines: [] };
}

function addTransfer(state: State, event: TransferProgress, now: number): Change {
  const key = `${event.direction} ${event.item}`;
  const before = state.transfers.get(key);
  const over = event.state !== 'waiting' && event.state !== 'running';
  const transfer: TransferTally = { ...event, startedAt: before?.startedAt ?? now, finishedAt: over ? before?.finishedAt || now : 0 };
  state.transfers.set(key, transfer);
  const vertex = event.vertex === undefined ? undefined : state.vertices.get(event.vertex);
  return {
    kind: 'transfer',
    transfer,
    isNew: before === undefined,
    stateChanged: before?.state !== event.state,
    vertex: vertex?.number === 0 ? undefined : vertex,
  };
}
