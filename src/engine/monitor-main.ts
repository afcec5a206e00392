/** The process that holds a container which outlives the command that started it: `monitor-main.ts ID WISH`. What it has to say goes to file 3, see start-monitor.ts. */
import { argv, env } from 'node:process';
import * as v from 'valibot';
import { JettisonError, messageOf } from '#ground/base/errors.ts';
import { cancelled } from '#ground/base/abort.ts';
import { report } from '#execution/worker/monitor-process.ts';
import { holdContainer } from './hold-container.ts';
import { openEngine } from './open.ts';
import { monitorWishSchema, type MonitorReport } from './start-monitor.ts';

const [, , id, wish] = argv;
if (id !== undefined && wish !== undefined) void hold(id, wish);

async function hold(container: string, text: string): Promise<void> {
  const controller = new AbortController();
  // The end of the machine: the container ends in its own way, if there is time.
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => controller.abort(cancelled('The monitor was ended', name)));
  process.on('SIGHUP', () => undefined);
  let isStarted = false;
  try {
    const { size, awaitsClient } = v.parse(monitorWishSchema, JSON.parse(text));
    await using engine = await openEngine({ environment: env, currentFolder: '/', untilExit: true });
    const holding = {
      own: undefined,
      awaitsClient,
      size,
      onReady: () => tell({ kind: 'ready' }),
      onStart: () => {
        isStarted = true;
        tell({ kind: 'started' });
      },
    };
    await holdContainer(engine, container, holding, () => undefined, controller.signal);
    // One that was over before it was seen to run has run all the same.
    if (!isStarted) tell({ kind: 'started' });
  } catch (error) {
    if (!isStarted) tell(failureOf(error));
    process.exitCode = 1;
  }
  process.exit();
}

function failureOf(error: unknown): MonitorReport {
  if (!(error instanceof JettisonError))
    return { kind: 'failed', code: 'engine/monitor-failed', message: messageOf(error), fault: 'bug', notes: [] };
  const { code, message, fault, hint, notes } = error;
  return { kind: 'failed', code, message, fault, notes: [...notes], ...(hint === undefined ? {} : { hint }) };
}

function tell(message: MonitorReport): void {
  report(JSON.stringify(message));
}
