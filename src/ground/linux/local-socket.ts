/** Stream sockets with a name in a folder (unix(7)), whose paths may be longer than a socket's address. */
import { closeSync, constants, openSync } from 'node:fs';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';

export type SocketPlace = { readonly folder: string; readonly name: string };

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
