/** The worker process: lives in its own mount and pid namespace, takes calls over IPC, ends when its engine ends. Node's compile cache is on by NODE_COMPILE_CACHE. */
import { reapInherited } from '#ground/linux/process-ties.ts';
import { createDispatcher } from './dispatch.ts';
import type { ToWorker, FromWorker } from './protocol.ts';

const dispatcher = createDispatcher((message: FromWorker) => {
  if (process.connected) process.send?.(message);
});
process.on('message', (message) => {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- both ends are this program
  void dispatcher(message as ToWorker);
});
process.on('disconnect', () => process.exit(0));
// A terminal's Ctrl-C reaches every process of the group: the engine decides what it means and says so over IPC.
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const) process.on(name, () => undefined);

/** Milliseconds until what has died is looked at: who started it has taken it by then. */
const reapAfter = 1000;

// As the first process of its namespace it gets those whose parents ended first, a runtime's that failed among them; the kernel tells of each that dies.
if (process.pid === 1) {
  let dead: ReadonlySet<number> = new Set();
  let waiting: NodeJS.Timeout | undefined;
  const look = (): void => {
    waiting = undefined;
    dead = reapInherited(dead);
    if (dead.size > 0) lookLater();
  };
  // Behind the signals that came meanwhile: after a long moment without them Node calls timers first, and has not taken its own yet.
  const lookLater = (): void => void (waiting ??= setTimeout(() => setImmediate(look), reapAfter).unref());
  process.on('SIGCHLD', lookLater);
}
