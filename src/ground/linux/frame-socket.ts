/**
 * Request and reply over a Unix socket, each a frame: four bytes of length, big-endian, then a body. What is at the far end is not trusted:
 * sizes and connections are limited, and a connection has one request answered at a time.
 */
import { joinBytes } from '#ground/base/bytes.ts';
import { closeSync, constants, openSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { JettisonError } from '#ground/base/errors.ts';

/** Bytes of a frame's body; what OpenSSH's programs take at most. */
const longestFrame = 256 * 1024;
const mostConnections = 64;
/** Milliseconds until a connection stands. */
const connectLimit = 2000;

/**
 * Listens at `<folder>/<name>` and gives each request to `answer`; when that fails, or a request is too long, the connection ends. Disposing
 * ends all connections and removes the socket. Paths may be longer than a socket's address.
 */
export async function serveFrames(
  place: { readonly folder: string; readonly name: string },
  answer: (request: Uint8Array) => Promise<Uint8Array>,
): Promise<AsyncDisposable> {
  const folder = openSync(place.folder, constants.O_RDONLY | constants.O_DIRECTORY);
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    void answerAll(socket, answer);
  });
  server.maxConnections = mostConnections;
  const listening = Promise.withResolvers<void>();
  server.once('error', listening.reject);
  server.listen(`/proc/self/fd/${folder}/${place.name}`, listening.resolve);
  try {
    await listening.promise;
  } catch (error) {
    closeSync(folder);
    throw error;
  }
  return {
    async [Symbol.asyncDispose]() {
      const closed = Promise.withResolvers<void>();
      server.close(() => closed.resolve());
      for (const socket of open) socket.destroy();
      await closed.promise;
      closeSync(folder);
    },
  };
}

/** Sends one request to the socket `path` and gives the reply. Throws system errors, and `linux/bad-frame` when there is no whole reply. */
export async function askFrame(path: string, request: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
  signal.throwIfAborted();
  const socket = connect(path);
  const stop = (): void => void socket.destroy();
  signal.addEventListener('abort', stop, { once: true });
  socket.setTimeout(connectLimit, stop);
  socket.once('connect', () => socket.setTimeout(0));
  try {
    socket.write(frameOf(request));
    for await (const reply of framesOf(socket)) return reply;
    throw new JettisonError('linux/bad-frame', 'The connection ended before there was a reply', { fault: 'environment' });
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', stop);
    socket.destroy();
  }
}

async function answerAll(socket: Socket, answer: (request: Uint8Array) => Promise<Uint8Array>): Promise<void> {
  try {
    for await (const request of framesOf(socket)) {
      const reply = frameOf(await answer(request));
      if (!socket.write(reply)) await drained(socket);
    }
    socket.end();
  } catch {
    // Whoever asks badly, or leaves in the middle, has nobody to tell.
    socket.destroy();
  }
}

async function drained(socket: Socket): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  socket.once('drain', resolve).once('close', resolve);
  await promise;
}

function frameOf(body: Uint8Array): Uint8Array {
  const frame = new Uint8Array(4 + body.length);
  new DataView(frame.buffer).setUint32(0, body.length);
  frame.set(body, 4);
  return frame;
}

async function* framesOf(socket: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let pending = new Uint8Array(0);
  for await (const chunk of socket) {
    pending = pending.length === 0 ? new Uint8Array(chunk) : joinBytes([pending, chunk]);
    while (pending.length >= 4) {
      const length = new DataView(pending.buffer, pending.byteOffset).getUint32(0);
      if (length > longestFrame) throw new JettisonError('linux/bad-frame', `A frame of ${length} bytes is too long`);
      if (pending.length < 4 + length) break;
      yield pending.slice(4, 4 + length);
      pending = pending.slice(4 + length);
    }
  }
}
