/** The worker process: lives in its own mount and pid namespace, takes calls over IPC, ends when its engine ends. Node's compile cache is on by NODE_COMPILE_CACHE. */
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

/** Milliseconds between looks at what it inherited: a container that waits for that in the kernel ends so much later. */
const reapEvery = 1000;

// As the first process of its namespace it gets those whose parents ended first, a runtime's that failed among them.
if (process.pid === 1) {
  let dead: ReadonlySet<number> = new Set();
  const look = async (): Promise<void> => {
    const { reapInherited } = await import('#ground/linux/inherited.ts');
    dead = reapInherited(dead);
  };
  setInterval(() => void look(), reapEvery).unref();
}
