/** `container.ts STORE IMAGE REQUEST`: runs a container on this process's own streams and prints nothing itself. Ends with its code, or 125 and the error's code. */
import { join } from 'node:path';
import { runContainer, signalContainer, type ContainerRequest } from '#execution/ops/container.ts';
import { openRuntime } from '#execution/runtime/choose.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { parseSnapshotId } from '#stores/snapshot/contract.ts';
import { openSnapshotStore } from '#stores/snapshot/store.ts';

const [store = '', image = '', text = '{}'] = process.argv.slice(2);
const { signal } = new AbortController();
await using snapshots = await openSnapshotStore({ folder: join(store, 'snapshots'), now: Date.now });
const runtime = await openRuntime(
  { folder: join(store, `run-${process.pid}`), memory: join(store, 'runtime.json') },
  () => undefined,
  signal,
);
const request: ContainerRequest = { ...JSON.parse(text), id: `c${process.pid}`, image: parseSnapshotId(image) };
process.on('SIGUSR1', () => signalContainer(request.id, 'SIGUSR1', { runtime }));
process.exitCode = await runContainer(request, { snapshots, runtime, streams: { kind: 'inherit' }, onStart: () => undefined }, signal).then(
  ({ code }) => code,
  (error: unknown) => {
    console.error(error instanceof JettisonError ? error.code : error);
    return 125;
  },
);
