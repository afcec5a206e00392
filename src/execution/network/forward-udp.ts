/** Datagrams to a port of this machine that lead into a container: each sender gets a socket of its own, so that answers find back. */
import { createSocket, Socket } from 'node:dgram';
import type { Listening, Target } from './forward-tcp.ts';

/** As docker: a sender that has been silent for so long is forgotten, in milliseconds. */
const silence = 90_000;
/** More senders than these at one time: the one that was silent longest goes. */
const mostSenders = 1024;

type Sender = { readonly socket: Socket; last: number };

/** Listens, on a free port for 0, for who is given the socket. Rejects with the system's error (`EADDRINUSE`). */
export async function listenUdp(at: Target): Promise<Listening & { readonly socket: Socket }> {
  const socket = createSocket({ type: kindOf(at.address), ipv6Only: at.address.includes(':') });
  await bind(socket, at);
  return { port: socket.address().port, socket, [Symbol.asyncDispose]: async () => await close(socket) };
}

/** Listens, on a free port for 0, or leads on what comes to a socket that listens. Rejects with the system's error (`EADDRINUSE`). */
export async function forwardUdp(at: Target | Socket, to: Target): Promise<Listening> {
  const server = at instanceof Socket ? at : (await listenUdp(at)).socket;
  const senders = new Map<string, Sender>();
  const forget = (key: string): void => {
    senders.get(key)?.socket.close();
    senders.delete(key);
  };
  const senderOf = (key: string, reply: (bytes: Uint8Array) => void): Sender => {
    const known = senders.get(key);
    // The map is in the order of the last word.
    senders.delete(key);
    const sender = known ?? { socket: createSocket(kindOf(to.address)), last: 0 };
    senders.set(key, sender);
    if (known === undefined) {
      // Whoever else can reach this socket has nothing to say to the sender.
      sender.socket.on('message', (bytes, from) => {
        if (from.address === to.address && from.port === to.port) reply(bytes);
      });
      sender.socket.on('error', () => undefined);
      const [oldest] = senders.keys();
      if (senders.size > mostSenders && oldest !== undefined) forget(oldest);
    }
    sender.last = Date.now();
    return sender;
  };
  server.on('message', (bytes, { address, port }) => {
    const key = `${port} ${address}`;
    senderOf(key, (answer) => {
      senderOf(key, () => undefined);
      server.send(answer, port, address, () => undefined);
    }).socket.send(bytes, to.port, to.address, () => undefined);
  });
  const sweep = setInterval(() => {
    for (const [key, { last }] of senders) if (Date.now() - last > silence) forget(key);
  }, silence / 3);
  return {
    port: server.address().port,
    async [Symbol.asyncDispose]() {
      clearInterval(sweep);
      for (const key of senders.keys()) forget(key);
      await close(server);
    },
  };
}

async function close(socket: Socket): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  socket.close(() => resolve());
  await promise;
}

function kindOf(address: string): 'udp4' | 'udp6' {
  return address.includes(':') ? 'udp6' : 'udp4';
}

async function bind(server: Socket, { address, port }: Target): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.bind({ address, port, exclusive: true }, resolve);
  await promise;
  server.off('error', reject);
  server.on('error', () => undefined);
}
