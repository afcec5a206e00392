/**
 * Runs of a process that has no PID namespace of its own: each has one, whose first process is the runtime, tied to this process (`tie-program.ts`). So nothing outlives this process,
 * nor the runtime. The runtime counts otherwise than this process does, and what it keeps of a run means nothing from here.
 */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { JettisonError } from '#ground/base/errors.ts';
import { startChild, type Child, type ChildCommand, type ChildStreams } from '#ground/linux/child.ts';
import { findBelow, idsOf } from '#ground/linux/nested-processes.ts';
import { asFirstProcess } from '#ground/linux/own-namespaces.ts';
import { closeFile, makePipe } from '#ground/linux/syscall.ts';
import type { Bundle } from './bundle.ts';
import { isTieArchitecture, tieProgram } from './tie-program.ts';

/** `within`: runs are started inside this call, which may be what gives them a network. */
export type Ties = { readonly within: <T>(start: () => T) => T };

/** Starts a runtime as `startChild` does. */
export async function startTied(
  command: Pick<ChildCommand, 'file' | 'arguments' | 'environment'>,
  { folder, logFile, tieFile }: Bundle,
  streams: ChildStreams,
  { within }: Ties,
): Promise<Child> {
  if (!isTieArchitecture(process.arch)) throw new JettisonError('runtime/no-ties', `No program for ${process.arch}`, { fault: 'bug' });
  const environment = Object.entries(command.environment).map(([name, value]) => `${name}=${value}`);
  const words = [command.file, ...command.arguments];
  const bytes = tieProgram({ architecture: process.arch, file: command.file, arguments: words, environment, logFile });
  writeFileSync(tieFile, bytes, { mode: 0o700 });
  const { readEnd, writeEnd } = makePipe();
  try {
    const child = await startChild(
      {
        file: tieFile,
        arguments: [],
        environment: {},
        folder,
        extraFiles: [readEnd],
        around: (start) => within(() => asFirstProcess(start)),
      },
      streams,
    );
    void child.ended.then(() => closeFile(writeEnd));
    return child;
  } catch (error) {
    closeFile(writeEnd);
    throw error;
  } finally {
    closeFile(readEnd);
  }
}

/** Finds the first process of a run by the number that the runtime wrote down. */
export function locateFirst({ pid: runtime }: Child, bundle: Bundle): () => number | undefined {
  let found: number | undefined;
  return () => {
    const inside = found === undefined ? bundle.firstProcess() : undefined;
    if (inside !== undefined) {
      const depth = idsOf(runtime).length;
      found = findBelow(runtime, (ids) => ids[depth - 1] === inside);
    }
    return found;
  };
}

/** Removes what a runtime that has ended may have left of a run in the folder of its state. */
export function forget(state: string, id: string): void {
  rmSync(join(state, id), { recursive: true, force: true });
}
