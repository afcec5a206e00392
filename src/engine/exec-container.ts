/** `exec`: one more process in a container that runs. */
import { randomHex } from '#ground/base/random.ts';
import { isCode } from '#ground/base/errors.ts';
import { startOf } from '#ground/base/process-identity.ts';
import type { TerminalSize } from '#execution/worker/contract.ts';
import { askExec } from '#execution/worker/control.ts';
import type { ExecProcess } from '#execution/worker/exec-process.ts';
import { assertRuns, elsewhere, notRunning, runningState } from './container-process.ts';
import type { Container } from './find-container.ts';
import { noteContainer } from './note-events.ts';
import type { Engine } from './open.ts';

export type { ExecProcess } from '#execution/worker/exec-process.ts';

export type ExecWish = {
  readonly arguments: readonly string[];
  /** `NAME=value`, beside the container's. */
  readonly environment: readonly string[];
  readonly user: string | undefined;
  readonly workingDirectory: string | undefined;
  readonly isPrivileged: boolean;
  /** It has a terminal of its own, of this size. */
  readonly terminal: TerminalSize | undefined;
  /** It has this process's stdin; `pipes`: all its streams are pipes to this process. */
  readonly stdin: boolean | 'pipes';
  readonly isDetached: boolean;
  /** What it writes is kept for `captured`, and goes nowhere else. */
  readonly isCaptured?: boolean;
};

/** Throws `engine/container-not-running`, `engine/container-paused`, and what keeps the process from starting. */
export async function execInContainer(engine: Engine, container: Container, wish: ExecWish, signal: AbortSignal): Promise<ExecProcess> {
  assertRuns(container, 'exec');
  const { arguments: words, environment, user, workingDirectory, terminal, isPrivileged } = wish;
  const asked = {
    arguments: [...words],
    environment: [...environment],
    ...(user === undefined ? {} : { user }),
    ...(workingDirectory === undefined ? {} : { workingDirectory }),
    terminal: terminal !== undefined,
    ...(terminal === undefined ? {} : { terminalSize: terminal }),
    isPrivileged,
  };
  const call = await askExec(engine.containers.folder(container.id), asked, signal);
  const worker = runningState(engine, container)?.worker;
  if (call === undefined || worker === undefined || worker === null) throw notRunning(container);
  if (worker.start === null || startOf(worker.pid) !== worker.start) throw elsewhere(container);
  const { startExec } = await import('#execution/worker/exec-process.ts');
  const stdin = wish.stdin === 'pipes' ? 'pipes' : wish.stdin ? 'own' : 'nothing';
  const exec = startExec({ worker: worker.pid, call, stdin, terminal, isDetached: wish.isDetached, isCaptured: wish.isCaptured === true });
  // Checks of health come again and again: what they find is told where it changes something.
  if (wish.isCaptured !== true) noteExec(engine, container, { words, exec });
  return exec;
}

function noteExec(
  engine: Engine,
  container: Container,
  { words, exec }: { readonly words: readonly string[]; readonly exec: ExecProcess },
): void {
  const execID = randomHex(32);
  noteContainer(engine, container, `exec_create: ${words.join(' ')}`, { execID });
  noteContainer(engine, container, `exec_start: ${words.join(' ')}`, { execID });
  const noteEnd = (code: number): void => noteContainer(engine, container, 'exec_die', { execID, exitCode: String(code) });
  exec.ended.then(noteEnd, () => undefined);
}

/** Exit codes of `docker exec` when it is not the command that failed: no such command, one that cannot be run, what is no program, anything else. */
export function execFailureCode(error: unknown): number {
  const absent = ['runtime/command-not-found', 'runtime/no-interpreter', 'ops/no-working-directory'];
  if (absent.some((code) => isCode(error, code))) return 127;
  if (isCode(error, 'worker/exec-failed')) return /no such file|not found/iu.test(error.message) ? 127 : 126;
  if (isCode(error, 'runtime/not-a-program')) return 255;
  return isCode(error, 'runtime/command-not-executable') ? 126 : 1;
}
