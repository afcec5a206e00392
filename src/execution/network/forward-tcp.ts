/** Connections to a port of this machine that lead into a container, by bytes: each side may end before the other. */
import { createServer, connect, type Server, type Socket } from 'node:net';

export type Target = { readonly address: string; readonly port: number };
export type Listening = AsyncDisposable & { readonly port: number };

/** Listens, on a free port for 0. Rejects with the system's error (`EADDRINUSE`). Disposing ends all connections. */
export async function forwardTcp(at: Target, to: Target): Promise<Listening> {
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const inside = connect({ host: to.address, port: to.port, allowHalfOpen: true, noDelay: true });
    for (const socket of [client, inside]) {
      open.add(socket);
      socket.once('close', () => open.delete(socket));
    }
    join(client, inside);
    join(inside, client);
  });
  const port = await listen(server, { host: at.address, port: at.port, ipv6Only: at.address.includes(':') });
  return {
    port,
    async [Symbol.asyncDispose]() {
      const { promise, resolve } = Promise.withResolvers<void>();
      server.close(() => resolve());
      for (const socket of open) socket.destroy();
      await promise;
    },
  };
}

/** The end of one is the end of what is sent to the other; what breaks breaks the other, and is seen there as broken. */
function join(from: Socket, to: Socket): void {
  from.pipe(to);
  from.on('error', () => to.resetAndDestroy());
  from.on('close', (broken) => {
    if (!broken && !from.readableEnded) to.destroy();
  });
}

async function listen(
  server: Server,
  where: { readonly host: string; readonly port: number; readonly ipv6Only: boolean },
): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen(where, resolve);
  await promise;
  server.off('error', reject);
  // A connection that cannot be accepted (too many open files) is not the end of the others.
  server.on('error', () => undefined);
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : where.port;
}
