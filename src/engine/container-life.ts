/** `stop`, `restart`, `kill`, `wait`, `pause`, `unpause`, `rename`: what is done to containers that are there. */
import { orAborted } from '#ground/base/abort.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { sleep } from '#ground/base/retry.ts';
import type { Report } from '#formats/progress/event.ts';
import type { Container } from '#execution/container/store.ts';
import { askContainer, watchContainer } from '#execution/worker/control.ts';
import { isUp } from './containers.ts';
import { findContainer } from './find-container.ts';
import { startContainer } from './launch.ts';
import { noteContainer, signalText } from './note-events.ts';
import type { Engine } from './open.ts';

/** Seconds until a container that should stop is killed, where nobody says otherwise. */
const usualTimeout = 10;
/** Milliseconds between two looks at one that nobody can be asked about: it is just starting, ending, or waiting to be started again. */
const lookEvery = 20;

export type StopRequest = {
  /** undefined: the container's own. */
  readonly signal: string | undefined;
  /** Seconds; -1: it is never killed. */
  readonly seconds: number | undefined;
};

/** Stops a container and waits for its end; one that does not run is left alone. Its policy does not start it again. */
export async function stopContainer(engine: Engine, container: Container, request: StopRequest, signal: AbortSignal): Promise<void> {
  if (!isUp(container.state)) return;
  engine.containers.noteStop(container.id, true);
  const { spec } = container;
  const asked = {
    kind: 'stop',
    signal: request.signal ?? (spec.stopSignal || 'SIGTERM'),
    seconds: request.seconds ?? spec.stopTimeout ?? usualTimeout,
  } as const;
  noteContainer(engine, container, 'kill', { signal: signalText(asked.signal) });
  await askUntilDown(engine, container, async (folder) => await askContainer(folder, asked, signal), signal);
  noteContainer(engine, container, 'stop');
}

/** Stops it where it runs, and starts it. */
export async function restartContainer(
  engine: Engine,
  container: Container,
  request: StopRequest,
  report: Report,
  signal: AbortSignal,
): Promise<void> {
  await stopContainer(engine, container, request, signal);
  await startContainer(engine, findContainer(engine, container.id), report, signal);
  noteContainer(engine, container, 'restart');
}

/** Sends a signal (`KILL`, `SIGHUP`, `9`). Throws `engine/container-not-running`, `runtime/unknown-signal`. */
export async function killContainer(engine: Engine, container: Container, name: string, signal: AbortSignal): Promise<void> {
  const { stopSignal } = container.spec;
  // A signal that is meant to end it is as good as a stop.
  if (stopSignal === '' || isSameSignal(name, 'SIGKILL') || isSameSignal(name, stopSignal)) engine.containers.noteStop(container.id, true);
  if (!(await ask(engine, container, { kind: 'signal', name }, signal))) throw notRunning(container, 'kill');
  noteContainer(engine, container, 'kill', { signal: signalText(name) });
}

function isSameSignal(one: string, other: string): boolean {
  return bareName(one) === bareName(other);
}

function bareName(signal: string): string {
  return signal.toUpperCase().replace(/^SIG/u, '').replace(/^9$/u, 'KILL');
}

/** Waits until a container has ended; gives its exit code, at once for one that does not run. */
export async function waitForContainer(engine: Engine, container: Container, signal: AbortSignal): Promise<number> {
  let last = container.state.code;
  for (let now: Container | undefined = container; now !== undefined && isUp(now.state); now = engine.containers.find(container.id)) {
    signal.throwIfAborted();
    if (now.state.kind === 'restarting') return now.state.code;
    using watch = await watchContainer(engine.containers.folder(container.id), signal);
    if (watch === undefined) await sleep(lookEvery, signal);
    else last = (await orAborted(watch.ended, signal)) ?? last;
  }
  const { code = last } = engine.containers.find(container.id)?.state ?? {};
  return code;
}

/** Waits until nobody holds a container any more, so that it may be started or removed. `ask` has it end; it is asked again while nobody was there to hear it. */
export async function askUntilDown(
  engine: Engine,
  container: Container,
  asking: (folder: string) => Promise<boolean>,
  signal: AbortSignal,
): Promise<void> {
  let isAsked = false;
  for (let now: Container | undefined = container; now !== undefined && isUp(now.state); now = engine.containers.find(container.id)) {
    signal.throwIfAborted();
    const folder = engine.containers.folder(container.id);
    isAsked ||= await asking(folder);
    using watch = isAsked ? await watchContainer(folder, signal) : undefined;
    if (watch === undefined) await sleep(lookEvery, signal);
    else await orAborted(watch.ended, signal);
  }
}

/** Throws `engine/container-not-running`, `engine/container-paused`. */
export async function pauseContainer(engine: Engine, container: Container, signal: AbortSignal): Promise<void> {
  if (container.state.kind === 'paused')
    throw new JettisonError('engine/container-paused', `Container ${container.name} is already paused`);
  if (!(await ask(engine, container, { kind: 'pause' }, signal))) throw notRunning(container, 'pause');
  engine.containers.notePause(container.id, true);
  noteContainer(engine, container, 'pause');
}

/** Throws `engine/container-not-paused`. */
export async function unpauseContainer(engine: Engine, container: Container, signal: AbortSignal): Promise<void> {
  if (container.state.kind !== 'paused' || !(await ask(engine, container, { kind: 'unpause' }, signal)))
    throw new JettisonError('engine/container-not-paused', `Container ${container.name} is not paused`);
  engine.containers.notePause(container.id, false);
  noteContainer(engine, container, 'unpause');
}

/** Throws `container/name-taken`, `container/bad-name`, `engine/same-name`. */
export function renameContainer(engine: Engine, container: Container, name: string): void {
  if (name === container.name) throw new JettisonError('engine/same-name', 'Renaming a container with the same name as its current name');
  engine.containers.rename(container.id, name);
  noteContainer(engine, findContainer(engine, container.id), 'rename', { oldName: `/${container.name}` });
}

async function ask(
  engine: Engine,
  { id, state }: Container,
  request: Parameters<typeof askContainer>[1],
  signal: AbortSignal,
): Promise<boolean> {
  return (state.kind === 'running' || state.kind === 'paused') && (await askContainer(engine.containers.folder(id), request, signal));
}

function notRunning({ name, id }: Container, verb: string): JettisonError {
  return new JettisonError('engine/container-not-running', `Cannot ${verb} container: ${name}: container ${id} is not running`);
}
