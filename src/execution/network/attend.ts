/** An attendant: lives in the home of a user's bridges, takes requests over IPC (see attendant.ts), ends when the channel ends. */
import { Socket } from 'node:dgram';
import { Server } from 'node:net';
import { JettisonError, messageOf, unreachable } from '#ground/base/errors.ts';
import { SystemCallError } from '#ground/linux/libc.ts';
import type { FromAttendant, ToAttendant } from './attendant.ts';
import { connectRunning, disconnectRunning, openBridged } from './bridged.ts';
import { forwardTcp, type Target } from './forward-tcp.ts';
import { forwardUdp } from './forward-udp.ts';
import { placeOf } from './open.ts';
import type { NetworkStore } from './store.ts';
import type { NetworkWish } from './wish.ts';

const nothingPublished: NetworkWish = { place: { kind: 'default' }, published: [], publishAll: false };

/** Makes this process an attendant. `openStore` is called once. */
export function attend(openStore: (made: AsyncDisposableStack) => Promise<NetworkStore>): void {
  const made = new AsyncDisposableStack();
  // A terminal's Ctrl-C reaches every process of the group.
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const) process.on(name, () => undefined);
  process.on('disconnect', () => void made.disposeAsync().finally(() => process.exit()));
  const store = openStore(made);
  store.catch(() => undefined);
  process.on('message', (message, socket: unknown) => {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- both ends are this program
    void answer(message as ToAttendant, socket);
  });
  const answer = async (request: ToAttendant, socket: unknown): Promise<void> => {
    try {
      tell(await act(request, { socket, made, store: await store }));
    } catch (error) {
      tell(failure(error));
    }
  };
}

type Means = { readonly socket: unknown; readonly made: AsyncDisposableStack; readonly store: NetworkStore };

async function act(request: ToAttendant, { socket, made, store }: Means): Promise<FromAttendant> {
  switch (request.kind) {
    case 'stand':
      return await stand(request, made, store);
    case 'lead':
      made.use(await lead(socket, request.to));
      return { kind: 'done', notes: [] };
    case 'connect':
      return { kind: 'done', notes: connectRunning(request.container, request.process, placeOf(request.network, store), store) };
    case 'disconnect':
      disconnectRunning(request.container, request.network, store);
      return { kind: 'done', notes: [] };
    default:
      return unreachable(request, 'request');
  }
}

async function stand(
  { container, networks, resolving }: Extract<ToAttendant, { kind: 'stand' }>,
  made: AsyncDisposableStack,
  store: NetworkStore,
): Promise<FromAttendant> {
  const places = networks.map((membership) => placeOf(membership, store));
  const notes: string[] = [];
  const tools = { store, note: (text: string) => void notes.push(text), resolving };
  const { worker, addresses, gateway, resolvConf } = made.use(await openBridged(container, places, nothingPublished, tools));
  if (worker.kind !== 'within') throw new JettisonError('network/no-attendant', 'The network has no file', { fault: 'bug' });
  const leading = addresses[places.findIndex(({ network }) => !network.isInternal)];
  return { kind: 'stands', standing: { file: worker.file, addresses, leading, gateway, resolvConf, notes } };
}

async function lead(socket: unknown, to: Target): Promise<AsyncDisposable> {
  if (socket instanceof Server) return await forwardTcp(socket, to);
  if (socket instanceof Socket) return await forwardUdp(socket, to);
  throw new JettisonError('network/no-attendant', 'A port came without its socket', { fault: 'bug' });
}

function failure(error: unknown): FromAttendant {
  if (error instanceof SystemCallError) {
    return {
      kind: 'failed',
      code: 'network/no-bridge',
      message: `Cannot give the container a network of its own: the kernel gives this user no bridge (${error.message})`,
      fault: 'environment',
      hint: 'Leave --network out: then the container has a network by pasta or slirp4netns',
      notes: [],
    };
  }
  if (!(error instanceof JettisonError))
    return { kind: 'failed', code: 'network/no-attendant', message: messageOf(error), fault: 'bug', hint: undefined, notes: [] };
  const { code, message, fault, hint, notes } = error;
  return { kind: 'failed', code, message, fault, hint, notes };
}

function tell(message: FromAttendant): void {
  if (process.connected) process.send?.(message);
}
