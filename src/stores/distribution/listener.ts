/** The sockets below the registry: plain HTTP, or TLS that tells who speaks plain HTTP to it. */
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { createServer as createSocketServer, type Server as SocketServer, type Socket } from 'node:net';
import { JettisonError, messageOf, systemCode } from '#ground/base/errors.ts';
import { printAddress, type Address } from './address.ts';

/** PEM. */
export type Tls = { readonly cert: Uint8Array; readonly key: Uint8Array };

export type Listener = AsyncDisposable & {
  readonly port: number;
  /** Never settles but with the error that ends it. */
  readonly failed: Promise<never>;
};

/** Milliseconds in which nothing moves before a connection is closed. */
const longestSilence = 60_000;
const mostConnections = 500;

/** Disposing closes all connections. Throws `distribution/cannot-listen`, `distribution/bad-tls`. */
export async function openListener(address: Address, tls: Tls | undefined, serve: RequestListener): Promise<Listener> {
  const [web, server] = makeServers(tls, serve);
  web.timeout = longestSilence;
  // A large blob over a slow line takes its time, as long as something comes.
  web.requestTimeout = 0;
  server.maxConnections = mostConnections;
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  const port = await listen(server, address);
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => undefined);
  server.on('error', (error) => failed.reject(cannotListen(address, error)));
  return {
    port,
    failed: failed.promise,
    async [Symbol.asyncDispose]() {
      const closed = Promise.withResolvers<void>();
      server.close(() => closed.resolve());
      for (const socket of sockets) socket.destroy();
      await closed.promise;
    },
  };
}

/** The one that speaks HTTP, and the one that listens. */
function makeServers(tls: Tls | undefined, serve: RequestListener): readonly [Server, SocketServer] {
  if (tls === undefined) {
    const plain = createServer(serve);
    return [plain, plain];
  }
  const decoder = new TextDecoder();
  try {
    const secure = createSecureServer({ cert: decoder.decode(tls.cert), key: decoder.decode(tls.key) }, serve);
    return [secure, createSocketServer((socket) => sort(socket, secure))];
  } catch (error) {
    throw new JettisonError('distribution/bad-tls', `Cannot use the certificate and its key: ${messageOf(error)}`, {
      hint: 'Both are PEM files, and the key is that of the first certificate',
      cause: error,
    });
  }
}

/** The first byte of a TLS record that begins a handshake (RFC 8446, section 5.1). */
const handshake = 0x16;

/** Who speaks plain HTTP gets the answer of Go's net/http, which clients that only guessed know. */
function sort(socket: Socket, secure: Server): void {
  socket.on('error', () => socket.destroy());
  socket.setTimeout(longestSilence, () => socket.destroy());
  socket.once('readable', () => {
    const first: unknown = socket.read(1);
    const bytes = first instanceof Uint8Array ? first : new Uint8Array();
    if (bytes.length > 0) socket.unshift(bytes);
    if (bytes[0] === handshake) secure.emit('connection', socket);
    else socket.end('HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n');
  });
}

async function listen(server: SocketServer, address: Address): Promise<number> {
  const listening = Promise.withResolvers<void>();
  server.once('error', listening.reject);
  server.listen(address.port, address.host, () => listening.resolve());
  try {
    await listening.promise;
  } catch (error) {
    throw cannotListen(address, error);
  }
  server.off('error', listening.reject);
  const found = server.address();
  return found === null || typeof found === 'string' ? address.port : found.port;
}

function cannotListen(address: Address, cause: unknown): JettisonError {
  const why = systemCode(cause) === 'EADDRINUSE' ? 'something else does already' : messageOf(cause);
  return new JettisonError('distribution/cannot-listen', `Cannot listen on ${printAddress(address)}: ${why}`, {
    fault: 'environment',
    hint: 'Name another address with --listen, such as 127.0.0.1:5001',
    cause,
  });
}
