/** How a step that went wrong is told, in the words people know from BuildKit. */
import { JettisonError } from '#ground/base/errors.ts';
import type { ExitStatus } from '#execution/runtime/contract.ts';

/** A process that ran and did not end with 0. `memory`: its limit in bytes. `hint`: what may have been the matter, where its end says nothing. */
export function processFailed(
  words: readonly string[],
  { code, signal, outOfMemory }: ExitStatus,
  { memory, hint }: { readonly memory?: number | undefined; readonly hint?: string | undefined } = {},
): JettisonError {
  if (outOfMemory) {
    const limit = memory === undefined ? 'the memory that its cgroup has' : `the limit of ${Number((memory / 2 ** 20).toFixed(1))} MiB`;
    return new JettisonError(
      'ops/out-of-memory',
      `${describe(words)}: exit code: ${code}: cannot allocate memory: a process was killed because it would have passed ${limit}`,
      { hint: 'Give the build a higher "--memory"' },
    );
  }
  const reason = signal === undefined ? `exit code: ${code}` : `killed by signal ${signal} (exit code ${code})`;
  return new JettisonError('ops/process-failed', `${describe(words)}: ${reason}`, {
    ...(hint === undefined ? {} : { hint }),
    ...(signal === 'SIGKILL' ? { hint: 'When nobody killed it, the kernel did, because memory ran out' } : {}),
    ...(signal === 'SIGSYS'
      ? { hint: 'It made a system call that containers may not make, or is a program for another architecture' }
      : {}),
  });
}

/** A process that could not even start: the error keeps its code and hint. */
export function startFailed(words: readonly string[], error: unknown): unknown {
  const code = startCode(error);
  if (!(error instanceof JettisonError) || code === undefined) return error;
  return new JettisonError(error.code, `${describe(words)}: exit code: ${code}: ${error.message}`, {
    fault: error.fault,
    notes: error.notes,
    cause: error,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
  });
}

/** The exit code that a shell would give for a process that could not start, or runc's init for what is no program; undefined for other errors. */
export function startCode(error: unknown): number | undefined {
  return error instanceof JettisonError ? startCodes.get(error.code) : undefined;
}

const startCodes: ReadonlyMap<string, number> = new Map([
  ['runtime/command-not-found', 127],
  ['runtime/no-interpreter', 127],
  ['runtime/not-a-program', 255],
  ['runtime/command-not-executable', 126],
  ['runtime/start-failed', 125],
]);

function describe(words: readonly string[]): string {
  return `process "${words.join(' ')}" did not complete successfully`;
}
