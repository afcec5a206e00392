/** Stream sockets with a name in a folder (unix(7)), whose paths may be longer than a socket's address. */
import { chmodSync, closeSync, constants, openSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';

export type SocketPlace = { readonly folder: string; readonly name: string };

const mostConnections = 1000;

export type LocalServer = AsyncDisposable & {
  /** Ends all connections once what was written to them is sent; one that takes nothing for `limit` milliseconds is cut. */
  finish(limit: number): Promise<void>;
};

/** Listens at `<folder>/<name>` (0600), in the place of what a dead process left there, and gives each connection to `take`. Disposing cuts all connections and removes the socket. */
export async function serveLocal(place: SocketPlace, take: (connection: Duplex) => void): Promise<LocalServer> {
  rmSync(join(place.folder, place.name), { force: true });
  const folder = openSync(place.folder, constants.O_RDONLY | constants.O_DIRECTORY);
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    open.add(socket);
    // One piece after the other: of what is handed over at once it cannot be told how much has been taken.
    Object.defineProperty(socket, '_writev', { value: undefined });
    socket.once('close', () => open.delete(socket));
    // Whoever leaves in the middle has nobody to tell.
    socket.on('error', () => socket.destroy());
    take(socket);
  });
  server.maxConnections = mostConnections;
  const listening = Promise.withResolvers<void>();
  server.once('error', listening.reject);
  server.listen(`/proc/self/fd/${folder}/${place.name}`, listening.resolve);
  try {
    await listening.promise;
    chmodSync(join(place.folder, place.name), 0o600);
  } catch (error) {
    closeSync(folder);
    throw error;
  }
  return {
    async finish(limit) {
      // Who takes a little is slow; who takes nothing in this time is gone.
      const seen = new Map<Socket, { readonly sent: number; readonly idle: number }>();
      const timer = setInterval(() => {
        for (const socket of open) {
          const [sent, last] = [sentOf(socket), seen.get(socket)];
          const idle = last?.sent === sent ? last.idle + 1 : 0;
          seen.set(socket, { sent, idle });
          // More than one look: this process may not have run itself meanwhile.
          if (idle >= looks) socket.destroy();
        }
      }, limit / looks);
      await Promise.all(
        Array.from(open, async (socket) => {
          const closed = Promise.withResolvers<void>();
          socket.once('close', closed.resolve);
          socket.end();
          // The other half is not waited for.
          socket.once('finish', () => socket.destroy());
          await closed.promise;
        }),
      );
      clearInterval(timer);
    },
    async [Symbol.asyncDispose]() {
      const closed = Promise.withResolvers<void>();
      server.close(() => closed.resolve());
      for (const socket of open) socket.destroy();
      await closed.promise;
      closeSync(folder);
      rmSync(join(place.folder, place.name), { force: true });
    },
  };
}

/** In the time that one who takes nothing has. */
const looks = 2;

/** Bytes that the other end, or the kernel, has taken. */
function sentOf(socket: Socket): number {
  return socket.bytesWritten - socket.writableLength;
}

/** Connects to `<folder>/<name>`; its half may be ended while the other still sends. Rejects with a system error: `ENOENT`, or `ECONNREFUSED` where its process is gone, `ECONNRESET` where it went before it took the connection. */
export async function connectLocal(place: SocketPlace): Promise<Duplex> {
  const folder = openSync(place.folder, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    const connected = Promise.withResolvers<void>();
    const socket = connect({ path: `/proc/self/fd/${folder}/${place.name}`, allowHalfOpen: true }, connected.resolve);
    socket.once('error', connected.reject);
    await connected.promise;
    socket.off('error', connected.reject);
    socket.on('error', () => socket.destroy());
    return socket;
  } finally {
    closeSync(folder);
  }
}
