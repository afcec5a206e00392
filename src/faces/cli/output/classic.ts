/**
 * Progress as the builder before BuildKit showed it (moby, builder/dockerfile): `Step 3/12 : RUN make`, ` ---> Running in 8fdbb711c5d9`, what the step prints, ` ---> d7e4afdd1309`.
 * Steps come in the order of the file, whatever runs beside what: what a later one prints is held back until its turn.
 */
import { createHash } from 'node:crypto';
import type { PulledBase, ShownStep, StepFollower } from '#engine/step-follower.ts';
import { familiarReference, parseReference } from '#formats/oci/reference.ts';
import type { ProgressEvent } from '#formats/progress/event.ts';
import { createTally, isOver, type OutputLine, type Tally, type VertexState } from '#formats/progress/tally.ts';
import type { Digest } from '#ground/base/digest.ts';
import { formatSize } from '#ground/base/human.ts';
import type { BuildEnd, Screen } from './screen.ts';
import { shortId } from './stamp.ts';
import { harmless } from './text.ts';

export type ClassicScreen = Screen & { readonly steps: StepFollower };

export type ClassicOptions = {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** What steps write to standard error in red. */
  readonly colours: boolean;
  /** The words of Docker 25 and later for a container that is gone: ` ---> Removed intermediate container`. */
  readonly isLater: boolean;
  /** Takes whole lines that are no part of the form. */
  readonly aside: (text: string) => void;
};

/** Characters of output that are held for one step until its turn. */
const mostHeld = 8 * 1024 * 1024;

type Held = { state: VertexState; lines: OutputLine[]; size: number; lost: number };
type Pull = { readonly image: PulledBase; readonly done: string[] };
type Made = Parameters<StepFollower['image']>[1];

type State = ClassicOptions & {
  readonly write: (text: string) => void;
  readonly tally: Tally;
  plan: readonly ShownStep[];
  readonly total: () => number;
  readonly vertices: Map<Digest, Held>;
  readonly pulls: Map<Digest, Pull>;
  readonly images: Map<number, Made>;
  /** Vertices of which a step has told already: for a later step of the same they are known. */
  readonly told: Set<Digest>;
  readonly warnings: string[];
  /** The step whose turn it is, and how far it has been told. */
  place: number;
  phase: 'new' | 'begun' | 'running' | 'ended';
};

/** `write` takes whole lines. */
export function createClassicScreen(write: (text: string) => void, options: ClassicOptions): ClassicScreen {
  const state: State = {
    ...options,
    write,
    tally: createTally(),
    plan: [],
    total: () => state.plan.filter(({ isTrigger }) => !isTrigger).length,
    vertices: new Map(),
    pulls: new Map(),
    images: new Map(),
    told: new Set(),
    warnings: [],
    place: 0,
    phase: 'new',
  };
  let isFinished = false;
  const end = (made: BuildEnd | undefined): void => {
    if (isFinished) return;
    isFinished = true;
    finish(state, made);
  };
  return {
    report: (event) => {
      take(state, event);
      advance(state);
    },
    finish: end,
    steps: {
      context: (bytes) => write(`Sending build context to Docker daemon  ${formatSize(bytes, 4)}\n`),
      plan: (steps) => {
        state.plan = steps;
        advance(state);
      },
      pulling: (vertex, image) => {
        if (!state.pulls.has(vertex)) state.pulls.set(vertex, { image, done: [] });
      },
      image: (place, made) => {
        state.images.set(place, made);
        advance(state);
      },
    },
    [Symbol.dispose]: () => end(undefined),
  };
}

function take(state: State, event: ProgressEvent): void {
  const change = state.tally.add(event, state.now());
  if (event.kind === 'note' && event.isAside === true) return;
  if (change.kind === 'vertex') {
    const held = heldOf(state, change.vertex.vertex);
    held.state = change.vertex.state;
    for (const line of change.lines) hold(held, line);
  } else if (change.kind === 'transfer') {
    const { vertex, direction, item, state: how } = change.transfer;
    const pull = vertex === undefined ? undefined : state.pulls.get(vertex);
    const words = how === 'exists' ? 'Already exists' : how === 'done' ? 'Pull complete' : undefined;
    if (pull !== undefined && direction === 'pull' && words !== undefined && change.stateChanged)
      pull.done.push(`${shortId(item)}: ${words} `);
  } else if (change.kind === 'note') {
    if (change.text.startsWith('[Warning] ')) state.warnings.push(change.text);
    else state.aside(`${harmless(change.text, false)}\n`);
  }
}

function heldOf(state: State, vertex: Digest): Held {
  const known = state.vertices.get(vertex) ?? { state: 'waiting', lines: [], size: 0, lost: 0 };
  state.vertices.set(vertex, known);
  return known;
}

function hold(held: Held, line: OutputLine): void {
  if (held.size > mostHeld) {
    held.lost++;
    return;
  }
  held.lines.push(line);
  held.size += line.text.length;
}

/** Tells all that can be told in order. */
function advance(state: State): void {
  for (let step = state.plan[state.place]; step !== undefined && tellStep(state, step); step = state.plan[state.place]) {
    state.place++;
    state.phase = 'new';
  }
}

/** Goes on telling a step; true when it is over. */
function tellStep(state: State, step: ShownStep): boolean {
  if (state.phase === 'new') begin(state, step);
  if (step.kind === 'global') return true;
  if (state.phase === 'begun') {
    if (!step.images.every((image) => tellPull(state, image))) return false;
    if (!tellRun(state, step)) return false;
    state.phase = 'ended';
  }
  if (state.phase === 'running') {
    if (!tellOutput(state, step)) return false;
    state.phase = 'ended';
  }
  const made = state.images.get(state.place);
  if (made === undefined) return false;
  if (step.vertex === undefined && step.kind === 'settings') tellSettings(state, made);
  if (state.plan[state.place + 1]?.isTrigger !== true) tellImage(state, made);
  return true;
}

function tellImage({ write }: State, { imageId }: Made): void {
  write(` ---> ${imageId === undefined ? '<missing>' : shortId(imageId)}\n`);
}

function begin(state: State, step: ShownStep): void {
  state.phase = 'begun';
  const { plan, place } = state;
  if (!step.isTrigger) {
    const number = plan.slice(0, place + 1).filter(({ isTrigger }) => !isTrigger).length;
    state.write(`Step ${number}/${state.total()} : ${harmless(step.text, false)}\n`);
  } else if (plan[place - 1]?.isTrigger !== true) {
    const rest = plan.slice(place).findIndex(({ isTrigger }) => !isTrigger);
    const count = rest < 0 ? plan.length - place : rest;
    state.write(`# Executing ${count} build trigger${count > 1 ? 's' : ''}\n`);
  }
}

/** An image that is downloaded for the step; true when its files are here or nobody wants them. */
function tellPull(state: State, vertex: Digest): boolean {
  const pull = state.pulls.get(vertex);
  const held = heldOf(state, vertex);
  if (pull !== undefined) {
    const { image, done } = pull;
    if (!state.told.has(vertex)) {
      state.told.add(vertex);
      state.write(`${harmless(image.tag, false)}: Pulling from ${harmless(image.repository, false)}\n`);
    }
    state.write(
      done
        .splice(0)
        .map((line) => `${harmless(line, false)}\n`)
        .join(''),
    );
    if (held.state === 'done') {
      state.write(`Digest: ${image.digest}\nStatus: Downloaded newer image for ${harmless(image.name, false)}\n`);
      state.pulls.delete(vertex);
    }
  }
  return held.state === 'done' || held.state === 'cached' || held.state === 'skipped';
}

/** True when the step has nothing more to tell of its work; goes over to `running` when it has begun a process. */
function tellRun(state: State, step: ShownStep): boolean {
  if (step.vertex === undefined || step.kind === 'from') return true;
  const held = heldOf(state, step.vertex);
  const isKnown = held.state === 'cached' || held.state === 'skipped' || state.told.has(step.vertex);
  if (isKnown && isOver(held)) {
    state.write(' ---> Using cache\n');
    return true;
  }
  if (held.state === 'waiting' || held.state === 'cancelled') return false;
  if (step.kind !== 'run') {
    if (held.state !== 'done') return false;
    state.told.add(step.vertex);
    return true;
  }
  state.phase = 'running';
  state.told.add(step.vertex);
  state.write(` ---> Running in ${containerOf(state, step)}\n`);
  return tellOutput(state, step);
}

function tellOutput(state: State, step: ShownStep): boolean {
  if (step.vertex === undefined) return true;
  const held = heldOf(state, step.vertex);
  const lines = held.lines.splice(0).map((line) => outputLine(state, line));
  if (held.lost > 0) lines.push(`[${held.lost} lines of output are left out here: see "jettison builds logs"]\n`);
  held.size = 0;
  held.lost = 0;
  if (lines.length > 0) state.write(lines.join(''));
  if (held.state !== 'done') return false;
  removed(state, containerOf(state, step));
  return true;
}

function outputLine({ colours }: State, { text, stream }: OutputLine): string {
  const shown = harmless(text, true);
  return stream === 'stderr' && colours ? `\u001b[91m${shown}\u001b[0m\n` : `${shown}\n`;
}

/** An instruction that only says something of the image: it is done when the image is there. */
function tellSettings(state: State, { isNew, imageId }: Made): void {
  if (!isNew || imageId === undefined || imageId === '') return state.write(' ---> Using cache\n');
  const container = idOf(`${imageId} ${state.place} ${state.now()}`);
  state.write(` ---> Running in ${container}\n`);
  removed(state, container);
}

function removed({ write, isLater }: State, container: string): void {
  write(isLater ? ` ---> Removed intermediate container ${container}\n` : `Removing intermediate container ${container}\n`);
}

/** The processes of a step have no container of their own that one could ask for: the id is the step's in this build. */
function containerOf({ tally }: State, { vertex }: ShownStep): string {
  const found = tally.vertices().find((one) => one.vertex === vertex);
  return idOf(`${vertex ?? ''} ${found?.startedAt ?? 0}`);
}

function idOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 12);
}

function finish(state: State, end: BuildEnd | undefined): void {
  if (end === undefined) return tellFailed(state);
  state.write(state.warnings.map((text) => `${harmless(text, false)}\n`).join(''));
  const names = end.names.map((name) => `Successfully tagged ${familiarReference(parseReference(name))}\n`);
  if (end.imageId !== undefined) state.write([`Successfully built ${shortId(end.imageId)}\n`, ...names].join(''));
}

/** What failed may stand further below than what was told last. */
function tellFailed(state: State): void {
  const place = state.plan.findIndex(({ vertex }) => vertex !== undefined && state.vertices.get(vertex)?.state === 'failed');
  const step = state.plan[place];
  if (step === undefined) return;
  if (place > state.place) {
    const made = state.images.get(state.place);
    // The base is known, even though nobody came to unpack it.
    if (state.plan[state.place]?.kind === 'from' && state.phase === 'begun' && made !== undefined) tellImage(state, made);
    state.place = place;
    state.phase = 'new';
  }
  if (place === state.place) tellStep(state, step);
}
