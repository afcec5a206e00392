/** Connections to a port of this machine that lead into a container, by bytes: each side may end before the other. */
import { createServer, connect, Server, type Socket } from 'node:net';

export type Target = { readonly address: string; readonly port: number };
export type Listening = AsyncDisposable & { readonly port: number };

/** Listens, on a free port for 0, for who is given the socket; until then who comes is refused, as by a container in which nobody listens yet. Rejects with the system's error (`EADDRINUSE`). */
export async function listenTcp(at: Target): Promise<Listening & { readonly socket: Server }> {
  const server = createServer((client) => client.resetAndDestroy());
  const port = await listen(server, at);
  return { port, socket: server, [Symbol.asyncDispose]: async () => await close(server) };
}

/** Listens, on a free port for 0, or leads on the connections of a socket that listens. Rejects with the system's error (`EADDRINUSE`). Disposing ends all connections. */
export async function forwardTcp(at: Target | Server, to: Target): Promise<Listening> {
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
  const port = await listen(server, at);
  return {
    port,
    async [Symbol.asyncDispose]() {
      const closed = close(server);
      for (const socket of open) socket.destroy();
      await closed;
    },
  };
}

async function close(server: Server): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.close(() => resolve());
  await promise;
}

/** The end of one is the end of what is sent to the other; what breaks breaks the other, and is seen there as broken. */
function join(from: Socket, to: Socket): void {
  from.pipe(to);
  from.on('error', () => to.resetAndDestroy());
  from.on('close', (broken) => {
    if (!broken && !from.readableEnded) to.destroy();
  });
}

async function listen(server: Server, at: Target | Server): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  if (at instanceof Server) server.listen(at, resolve);
  else server.listen({ host: at.address, port: at.port, ipv6Only: at.address.includes(':') }, resolve);
  await promise;
  server.off('error', reject);
  // A connection that cannot be accepted (too many open files) is not the end of the others.
  server.on('error', () => undefined);
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}
