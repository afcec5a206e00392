/** `top`: the processes of a container that runs. */
import { JettisonError } from '#ground/base/errors.ts';
import type { Container } from '#execution/container/store.ts';
import type { ProcessList } from '#execution/worker/top.ts';
import { assertRuns, elsewhere, processOfContainer, runningState } from './container-process.ts';
import { noteContainer } from './note-events.ts';
import type { Engine } from './open.ts';

export type { ProcessList } from '#execution/worker/top.ts';

/** `words`: options of ps(1), '' for `-ef`. Throws `engine/container-not-running`, `engine/no-process-list`, `worker/bad-ps`, `worker/no-ps`. */
export async function listContainerProcesses(
  engine: Engine,
  container: Container,
  words: string,
  signal: AbortSignal,
): Promise<ProcessList> {
  assertRuns(container);
  if (runningState(engine, container)?.runtime.length === 0) {
    throw new JettisonError(
      'engine/no-process-list',
      `Container ${container.name} has no processes of its own to list: its isolation is "chroot"`,
      {
        fault: 'environment',
        hint: 'It shares the processes of what it is started in: look there',
      },
    );
  }
  const first = processOfContainer(engine, container)?.pid;
  if (first === undefined) throw elsewhere(container);
  const { listProcesses } = await import('#execution/worker/top.ts');
  noteContainer(engine, container, 'top');
  return await listProcesses(first, { words, now: engine.now(), path: engine.environment['PATH'] ?? '' }, signal);
}
