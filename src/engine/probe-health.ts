/** The health of a container that runs, looked after by the process that holds it: its check is run in the container, again and again. */
import { orAborted, withinTime } from '#ground/base/abort.ts';
import { JettisonError, isCode, messageOf } from '#ground/base/errors.ts';
import { sleep } from '#ground/base/retry.ts';
import {
  nextPause,
  probeTimeout,
  probeWords,
  readHealth,
  startingHealth,
  withResult,
  writeHealth,
  type Health,
  type HealthCheck,
  type ProbeResult,
} from '#execution/container/health.ts';
import { formatDuration } from '#languages/frontend/go-format.ts';
import { execInContainer } from './exec-container.ts';
import type { Container } from './find-container.ts';
import { noteContainer } from './note-events.ts';
import type { Engine } from './open.ts';

export type HealthWatch = {
  /** The container runs. */
  begin(): void;
  /** It has ended: as docker has it, it is not healthy then. Settles when no check runs any more. */
  end(): Promise<void>;
};

/** Milliseconds that starting a check may take. */
const longestStart = 30_000;
const lateCode = 'engine/check-timeout';

/** Nothing is done for a container without a check. */
export function watchHealth(engine: Engine, container: Container): HealthWatch {
  const { health: check } = container.spec;
  const command = check === null ? undefined : probeWords(check);
  if (check === null || command === undefined) return { begin: () => undefined, end: async () => undefined };
  const folder = engine.containers.folder(container.id);
  const over = new AbortController();
  let watching: Promise<void> | undefined;
  let health = startingHealth(readHealth(folder));
  const keep = (next: Health): void => {
    health = next;
    writeHealth(folder, next);
  };
  const watch = async (started: number): Promise<void> => {
    for (;;) {
      await sleep(nextPause(check, health.status, engine.now() - started), over.signal);
      const now = engine.containers.find(container.id);
      if (now?.state.kind !== 'running') continue;
      const result = await probe(engine, now, { check, command }, over.signal);
      over.signal.throwIfAborted();
      const before = health.status;
      keep(withResult(health, result, { check, started }));
      if (health.status !== before) noteContainer(engine, now, `health_status: ${health.status}`);
    }
  };
  return {
    begin() {
      keep(health);
      watching = watch(engine.now()).catch((error: unknown) => {
        if (!over.signal.aborted) throw error;
      });
    },
    async end() {
      if (watching === undefined) return;
      over.abort(new JettisonError('engine/container-ended', 'The container has ended'));
      await watching;
      writeHealth(folder, { ...health, status: 'unhealthy' });
    },
  };
}

type Probe = { readonly check: HealthCheck; readonly command: readonly string[] };

async function probe(engine: Engine, container: Container, { check, command }: Probe, signal: AbortSignal): Promise<ProbeResult> {
  const start = engine.now();
  try {
    const wish = {
      arguments: command,
      environment: [],
      user: undefined,
      workingDirectory: undefined,
      isPrivileged: false,
      terminal: undefined,
      stdin: false,
      isDetached: false,
      isCaptured: true,
    };
    const exec = await execInContainer(engine, container, wish, signal);
    // Starting it takes time that is not the check's own.
    await withinTime(longestStart, tooLate(longestStart), async (own) => await orAborted(exec.started, own), signal);
    const limit = probeTimeout(check);
    try {
      const code = await withinTime(limit, tooLate(limit), async (own) => await orAborted(exec.ended, own), signal);
      return { start, end: engine.now(), code, output: await exec.captured() };
    } catch (error) {
      exec.kill();
      if (!isCode(error, lateCode)) throw error;
      const output = await exec.captured();
      return { start, end: engine.now(), code: -1, output: `${error.message}${output === '' ? '' : `: ${output}`}` };
    }
  } catch (error) {
    if (signal.aborted) throw error;
    // Whatever keeps a check from running: it is no reason for the container to end, whose process this is.
    return { start, end: engine.now(), code: -1, output: messageOf(error) };
  }
}

function tooLate(milliseconds: number): JettisonError {
  return new JettisonError(lateCode, `Health check exceeded timeout (${formatDuration(milliseconds * 1e6)})`);
}
