/** The end of a container that is to go, whatever becomes of the processes that hold it. */
import { withinTime } from '#ground/base/abort.ts';
import { isCode, JettisonError } from '#ground/base/errors.ts';
import { sleep } from '#ground/base/retry.ts';
import { askContainer, endHolder } from '#execution/worker/control.ts';
import { isUp } from './containers.ts';
import { askUntilDown } from './container-life.ts';
import { runningState } from './container-process.ts';
import type { Container } from './find-container.ts';
import type { Engine } from './open.ts';

/** Milliseconds: for the container to end when it is killed, and for each who holds it to be seen to have ended. */
const longestEnd = 10_000;
const longestHold = 3000;
const lookEvery = 20;
const lateCode = 'engine/container-stays';

/** Kills the container; where nobody does so in time, its worker, with all that is in there, and at last its monitor. Its policy does not start it again. */
export async function endContainer(engine: Engine, container: Container, signal: AbortSignal): Promise<void> {
  engine.containers.noteStop(container.id, true);
  const late = new JettisonError(lateCode, `Container ${container.name} does not end`, { fault: 'environment' });
  try {
    await withinTime(
      longestEnd,
      late,
      async (own) => await askUntilDown(engine, container, async (folder) => await kill(folder, own), own),
      signal,
    );
  } catch (error) {
    if (!isCode(error, lateCode) && !isCode(error, 'worker/no-answer')) throw error;
    await endHolders(engine, container, signal);
  }
}

async function kill(folder: string, signal: AbortSignal): Promise<boolean> {
  return await askContainer(folder, { kind: 'signal', name: 'KILL' }, signal);
}

async function endHolders(engine: Engine, container: Container, signal: AbortSignal): Promise<void> {
  const state = runningState(engine, container);
  if (state === undefined) return;
  for (const holder of [state.worker, state.monitor]) {
    endHolder(holder);
    for (const until = Date.now() + longestHold; isHeldUp(engine, container) && Date.now() < until;) await sleep(lookEvery, signal);
    if (!isHeldUp(engine, container)) return;
  }
}

function isHeldUp(engine: Engine, { id }: Container): boolean {
  const now = engine.containers.find(id);
  return now !== undefined && isUp(now.state);
}
