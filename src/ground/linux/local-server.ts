/** Listening at stream sockets with a name in a folder: see local-socket.ts. */
import { chmodSync, closeSync, constants, openSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { hasCaller, listenByName } from './bound-socket.ts';
import type { SocketPlace } from './local-socket.ts';

const mostConnections = 1000;
/** Milliseconds in which callers who were not taken before the end say what they want. */
const lastCallers = 5;

export type LocalServer = AsyncDisposable & {
  /** Callers are taken from now on, where `serveLocal` was to wait with that. */
  begin(): Promise<void>;
  /** Ends all connections once what was written to them is sent; one that takes nothing for `limit` milliseconds is cut. Who still waits to be taken is taken before. */
  finish(limit: number): Promise<void>;
};

/**
 * Listens at `<folder>/<name>` (0600), in the place of what a dead process left there, and gives each connection to `take`. Disposing cuts all connections and removes the socket.
 * With `later`, callers wait until `begin` or `finish`: what Node needs to take them is not loaded before.
 */
export async function serveLocal(
  place: SocketPlace,
  take: (connection: Duplex) => void,
  { later = false }: { readonly later?: boolean } = {},
): Promise<LocalServer> {
  rmSync(join(place.folder, place.name), { force: true });
  const listening = listenIn(place);
  const open = new Set<Socket>();
  let server: Server | undefined;
  const begin = async (): Promise<void> => {
    if (server !== undefined) return;
    server = createServer({ allowHalfOpen: true }, (socket) => {
      open.add(socket);
      // One piece after the other: of what is handed over at once it cannot be told how much has been taken.
      Object.defineProperty(socket, '_writev', { value: undefined });
      socket.once('close', () => open.delete(socket));
      // Whoever leaves in the middle has nobody to tell.
      socket.on('error', () => socket.destroy());
      take(socket);
    });
    server.maxConnections = mostConnections;
    const ready = Promise.withResolvers<void>();
    server.once('error', ready.reject);
    server.listen({ fd: listening }, ready.resolve);
    await ready.promise;
  };
  if (!later) await begin();
  return {
    begin,
    async finish(limit) {
      if (server === undefined && hasCaller(listening)) {
        await begin();
        await sleep(lastCallers);
      }
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
      if (server === undefined) closeSync(listening);
      else server.close(() => closed.resolve());
      for (const socket of open) socket.destroy();
      if (server !== undefined) await closed.promise;
      rmSync(join(place.folder, place.name), { force: true });
    },
  };
}

function listenIn({ folder: path, name }: SocketPlace): number {
  const folder = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    const file = listenByName(`/proc/self/fd/${folder}/${name}`);
    chmodSync(join(path, name), 0o600);
    return file;
  } finally {
    closeSync(folder);
  }
}

/** In the time that one who takes nothing has. */
const looks = 2;

/** Bytes that the other end, or the kernel, has taken. */
function sentOf(socket: Socket): number {
  return socket.bytesWritten - socket.writableLength;
}
