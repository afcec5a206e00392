/** A step's process under its keeper (see step-program.ts), from its start to the end of all that it started. */
import { rmSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { joinBytes } from '#ground/base/bytes.ts';
import { drain, sendSignal } from '#ground/linux/child.ts';
import { killChildrenElsewhere } from '#ground/linux/process-ties.ts';
import { spawnProgram, type SpawnStream } from '#ground/linux/posix-spawn.ts';
import { closeFile, makePipe } from '#ground/linux/syscall.ts';
import { stepProgram, told, type StepPlan } from './step-program.ts';

export type StepEnd =
  /** As wait(2) puts it. */
  | { readonly kind: 'ended'; readonly status: number }
  /** It did not become the program: the first call that failed, and why (`ENOENT`). */
  | { readonly kind: 'failed'; readonly call: string; readonly code: string }
  /** It was ended by `end` or `kill`, or somebody has killed its keeper. */
  | { readonly kind: 'swept' };

export type RunningStep = {
  /** Id of the step's process; undefined before it is there, and once it has ended. */
  process(): number | undefined;
  /** Has the keeper kill everything; `hard` kills the keeper, for one that does not do it. */
  end(hard: boolean): void;
  /** Settles when nothing of it runs any more. */
  readonly ended: Promise<StepEnd>;
};

const { signals } = constants;

/** Starts it. `file` is where the program may lie until it has begun. Throws a SystemCallError. */
export function startStep(
  plan: StepPlan,
  how: { readonly file: string; readonly streams: readonly [SpawnStream, SpawnStream, SpawnStream] },
): RunningStep {
  const { bytes, demands } = stepProgram(plan);
  writeFileSync(how.file, bytes, { mode: 0o700 });
  const pipe = makePipe();
  let keeper;
  try {
    keeper = spawnProgram({
      file: how.file,
      arguments: ['jettison-step'],
      environment: [],
      folder: '/',
      streams: [...how.streams, pipe.writeEnd],
    });
  } catch (error) {
    closeFile(pipe.readEnd);
    throw error;
  } finally {
    closeFile(pipe.writeEnd);
    rmSync(how.file, { force: true });
  }
  const { pid, ended } = keeper;
  const heard = listen(pipe.readEnd, demands);
  let isOver = false;
  return {
    process: () => (heard.end === undefined ? heard.process : undefined),
    end: (hard) => {
      if (isOver) return;
      if (hard) return sendSignal(pid, signals.SIGKILL);
      sendSignal(pid, signals.SIGTERM);
      sendSignal(pid, signals.SIGCONT);
    },
    ended: finish(),
  };

  async function finish(): Promise<StepEnd> {
    const end = await ended;
    isOver = true;
    // A keeper that was killed has left its children to this process.
    if ('signal' in end) await sweep();
    await heard.done;
    return heard.end ?? { kind: 'swept' };
  }
}

type Heard = { process: number | undefined; end: StepEnd | undefined; readonly done: Promise<void> };

/** Reads what the keeper and the step's process tell, until both have gone or become something else. */
function listen(file: number, demands: readonly string[]): Heard {
  const words: bigint[] = [];
  let rest = new Uint8Array(0);
  const take = (chunk: Uint8Array): void => {
    const bytes = joinBytes([rest, chunk]);
    const whole = bytes.length - (bytes.length % 8);
    words.push(...new BigInt64Array(bytes.slice(0, whole).buffer));
    rest = bytes.slice(whole);
    while (takeMessage(words, demands, heard));
  };
  const heard: Heard = { process: undefined, end: undefined, done: drain(file, take) };
  return heard;
}

/** False when no message is complete. */
function takeMessage(words: bigint[], demands: readonly string[], heard: Heard): boolean {
  const [kind, ...more] = words;
  if (kind === undefined) return false;
  const length = kind === told.failed ? demands.length : kind === told.ended ? 1 : 0;
  if (more.length < length) return false;
  words.splice(0, 1 + length);
  const values = more.slice(0, length);
  if (kind === told.failed) heard.end = failureIn(values, demands);
  else if (kind === told.ended) heard.end ??= { kind: 'ended', status: Number(values[0]) };
  else heard.process = Number(kind);
  return true;
}

/** Of several programs that could not be executed the one that is there counts. */
function failureIn(results: readonly bigint[], demands: readonly string[]): StepEnd {
  const failures = demands.flatMap((call, index) => {
    const result = results[index] ?? 0n;
    return result < 0n ? [{ kind: 'failed', call, code: getSystemErrorName(Number(result)) } as const] : [];
  });
  const found = failures.find(({ code }) => code !== 'ENOENT' && code !== 'ENOTDIR') ?? failures[0];
  return found ?? { kind: 'failed', call: 'execve', code: 'ENOENT' };
}

async function sweep(): Promise<void> {
  while (killChildrenElsewhere() > 0) {
    const { promise, resolve } = Promise.withResolvers<void>();
    setTimeout(resolve, 1);
    await promise;
  }
}
