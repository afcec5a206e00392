/** Starting a container in a process of its own, which holds it when this command has ended. */
import { fileURLToPath } from 'node:url';
import * as v from 'valibot';
import { JettisonError } from '#ground/base/errors.ts';
import type { TerminalSize } from '#execution/worker/contract.ts';
import type { Engine } from './open.ts';

export type MonitorWish = {
  /** It is started when a client has attached. */
  readonly awaitsClient: boolean;
  readonly size: TerminalSize | undefined;
};

/** Given to the monitor as its third argument. */
export const monitorWishSchema = v.object({
  awaitsClient: v.boolean(),
  size: v.optional(v.object({ rows: v.number(), columns: v.number() })),
});

/** What a monitor says, a line of JSON each. `ready`: its control socket is there. */
const monitorReportSchema = v.variant('kind', [
  v.object({ kind: v.literal('ready') }),
  v.object({ kind: v.literal('started') }),
  v.object({
    kind: v.literal('failed'),
    code: v.string(),
    message: v.string(),
    fault: v.picklist(['user', 'environment', 'limit', 'bug']),
    hint: v.optional(v.string()),
    notes: v.array(v.string()),
  }),
]);
export type MonitorReport = v.InferOutput<typeof monitorReportSchema>;

/** Settle as the monitor says so; both reject with what kept the container from starting. */
export type StartedMonitor = { readonly ready: Promise<void>; readonly started: Promise<void> };

/** Throws `linux/cannot-start`. This process need not wait for anything. */
export async function startMonitor(engine: Engine, id: string, wish: MonitorWish): Promise<StartedMonitor> {
  const { startMonitorProcess } = await import('#execution/worker/monitor-process.ts');
  const monitor = await startMonitorProcess(script(), [id, JSON.stringify(wish)], environmentOf(engine));
  const ready = Promise.withResolvers<void>();
  const started = Promise.withResolvers<void>();
  for (const each of [ready, started]) each.promise.catch(() => undefined);
  const fail = (error: Error): void => {
    ready.reject(error);
    started.reject(error);
  };
  void (async () => {
    for await (const line of monitor.lines) {
      const report = v.parse(monitorReportSchema, JSON.parse(line));
      if (report.kind === 'failed') fail(errorOf(report));
      else if (report.kind === 'ready') ready.resolve();
      else {
        ready.resolve();
        started.resolve();
        monitor.leave();
        return;
      }
    }
    fail(new JettisonError('engine/monitor-ended', 'The process that holds the container ended without a word', { fault: 'environment' }));
  })().catch((error: unknown) => fail(error instanceof Error ? error : new Error(String(error))));
  return { ready: ready.promise, started: started.promise };
}

function errorOf({ code, message, fault, hint, notes }: Extract<MonitorReport, { kind: 'failed' }>): JettisonError {
  return new JettisonError(code, message, { fault, notes, ...(hint === undefined ? {} : { hint }) });
}

/** The monitor finds the same store and configuration, wherever it stands. */
function environmentOf({ environment, paths, wish, currentFolder }: Engine): Readonly<Record<string, string>> {
  const isolation = [wish.isolation, wish.tree].filter((word) => word !== undefined).join(',');
  const absolute = (path: string): string => (path.startsWith('/') ? path : `${currentFolder}/${path}`);
  const given = Object.entries(environment).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]));
  return {
    ...Object.fromEntries(given),
    JETTISON_STORE: absolute(paths.store),
    JETTISON_CONFIG: absolute(paths.config),
    ...(isolation === '' ? {} : { JETTISON_ISOLATION: isolation }),
  };
}

function script(): string {
  return fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? './monitor-main.ts' : './monitor.cjs', import.meta.url));
}
