/**
 * The name server of one container, in its own network namespace: names of containers on its networks are looked up anew for each question, all others are asked of the machine's name
 * servers from outside, so that those on 127.0.0.x of the machine answer, too.
 */
import { createSocket, type RemoteInfo, type Socket as DatagramSocket } from 'node:dgram';
import { connect, createServer, type Socket } from 'node:net';
import { createLog } from '#ground/base/log.ts';
import { ipv4Text } from '#ground/base/ipv4.ts';
import { joinBytes } from '#ground/base/bytes.ts';
import { bindSocket, listenAt } from '#ground/linux/bound-socket.ts';
import type { NetworkNamespace } from '#ground/linux/network-namespace.ts';
import { openNetlink } from '#ground/linux/netlink.ts';
import { writeNameServerRules } from '#ground/linux/firewall.ts';
import { SystemCallError } from '#ground/linux/libc.ts';
import { addressOfPointer, answerAddresses, answerFailure, answerName, readQuestion, recordTypes, type Question } from './name-message.ts';

export type Names = {
  /** Addresses of a name, in small letters; undefined for a name that is nobody's here. */
  readonly addresses: (name: string) => readonly number[] | undefined;
  /** Whose address it is (`10.0.0.2`); undefined for nobody's here. */
  readonly nameOf: (address: string) => string | undefined;
};

export type NameServerOptions = {
  readonly namespace: NetworkNamespace;
  readonly names: Names;
  /** Addresses of name servers, as this process reaches them now. */
  readonly upstream: () => readonly string[];
  /** The container is not told of it yet: a port 53 of its own counts for more. */
  readonly isSpare?: boolean;
};

/** Docker's own address for it, which is in resolv.conf of containers that have it. */
export const nameServerAddress = '127.0.0.11';
const addressNumber = 0x7f00000b;
const log = createLog('network');
/** Milliseconds until the next name server is asked. */
const patience = 4000;
const mostQuestions = 512;
const mostConnections = 64;
const longestMessage = 65535;
const namePort = 53;

/**
 * Answers until it is disposed. Throws a SystemCallError when the container's namespace has something else at port 53 and no rules are to be had; undefined where there are none and it
 * is a spare one.
 */
export async function serveNames({ namespace, names, upstream, isSpare = false }: NameServerOptions): Promise<AsyncDisposable | undefined> {
  const files = namespace.within(() => bindBoth(isSpare));
  if (files === undefined) return undefined;
  const datagrams = createSocket('udp4');
  let asking = 0;
  let isClosed = false;
  datagrams.on('message', (message: Uint8Array, from: RemoteInfo) => {
    if (asking >= mostQuestions) return;
    asking += 1;
    void answerDatagram(message, from);
  });
  const answerDatagram = async (message: Uint8Array, from: RemoteInfo): Promise<void> => {
    const reply = await answerOne(message, { names, upstream, ask: askByDatagram });
    asking -= 1;
    if (reply !== undefined && !isClosed) datagrams.send(reply, from.port, from.address, () => undefined);
  };
  datagrams.on('error', (error) => log('datagrams: %o', error));
  const bound = Promise.withResolvers<void>();
  datagrams.bind({ fd: files.udp }, bound.resolve);
  const open = new Set<Socket>();
  const server = createServer((client) => {
    open.add(client);
    client.once('close', () => open.delete(client));
    client.on('error', () => client.destroy());
    client.setTimeout(2 * patience, () => client.destroy());
    void answerStream(client, { names, upstream, ask: askByStream });
  });
  server.maxConnections = mostConnections;
  const listening = Promise.withResolvers<void>();
  server.once('error', listening.reject);
  server.listen({ fd: files.tcp }, listening.resolve);
  await Promise.all([bound.promise, listening.promise]);
  // A connection that cannot be accepted (too many open files) is not the end of the others.
  server.on('error', (error) => log('connections: %o', error));
  return {
    async [Symbol.asyncDispose]() {
      const closed = Promise.withResolvers<void>();
      isClosed = true;
      datagrams.close();
      server.close(() => closed.resolve());
      for (const socket of open) socket.destroy();
      await closed.promise;
    },
  };
}

/** Other ports where the kernel leads port 53 there, so that the container may have a name server of its own; else port 53. */
function bindBoth(isSpare: boolean): { readonly udp: number; readonly tcp: number } | undefined {
  const udp = bindSocket('udp', { address: addressNumber, port: 0 });
  const tcp = bindSocket('tcp', { address: addressNumber, port: 0 });
  try {
    using firewall = openNetlink('firewall');
    writeNameServerRules(firewall, { address: addressNumber, ports: { udp: udp.port, tcp: tcp.port } });
    listenAt(tcp.file);
    return { udp: udp.file, tcp: tcp.file };
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
    log('no rules: %s', error.code);
    for (const socket of [udp, tcp]) socket.close();
    if (isSpare) return undefined;
    const [direct, stream] = [
      bindSocket('udp', { address: addressNumber, port: namePort }),
      bindSocket('tcp', { address: addressNumber, port: namePort }),
    ];
    listenAt(stream.file);
    return { udp: direct.file, tcp: stream.file };
  }
}

type Ask = (message: Uint8Array, server: string) => Promise<Uint8Array | undefined>;
type Answering = { readonly names: Names; readonly upstream: NameServerOptions['upstream']; readonly ask: Ask };

/** Undefined for what is no question. Never rejects. */
async function answerOne(message: Uint8Array, { names, upstream, ask }: Answering): Promise<Uint8Array | undefined> {
  const question = readQuestion(message);
  if (question === undefined) return undefined;
  try {
    const own = ownAnswer(message, question, names);
    if (own !== undefined) return own;
    for (const server of upstream()) {
      const reply = await ask(message, server);
      if (reply !== undefined) return reply;
    }
  } catch (error) {
    log('%s: %o', question.name, error);
  }
  return answerFailure(message, question);
}

function ownAnswer(message: Uint8Array, question: Question, names: Names): Uint8Array | undefined {
  const asked = question.type === recordTypes.pointer ? addressOfPointer(question.name) : undefined;
  const name = asked === undefined ? undefined : names.nameOf(asked);
  if (name !== undefined) return answerName(message, question, name);
  const addresses = names.addresses(question.name);
  if (addresses === undefined) return undefined;
  log('%s is %s', question.name, addresses.map(ipv4Text).join(' '));
  return answerAddresses(message, question, question.type === recordTypes.address ? addresses : []);
}

async function askByDatagram(message: Uint8Array, server: string): Promise<Uint8Array | undefined> {
  const socket: DatagramSocket = createSocket(server.includes(':') ? 'udp6' : 'udp4');
  const { promise, resolve } = Promise.withResolvers<Uint8Array | undefined>();
  const timer = setTimeout(resolve, patience, undefined);
  socket.once('error', () => resolve(undefined));
  socket.on('message', (reply: Uint8Array) => {
    // Somebody who guesses a port still has to guess the number of the question.
    if (reply.length >= 2 && reply[0] === message[0] && reply[1] === message[1]) resolve(reply);
  });
  // Node calls this with an error, too, where there is no way to the server.
  socket.connect(namePort, server, (error?: Error) => {
    if (error !== undefined) resolve(undefined);
    else socket.send(message, (failure) => failure && resolve(undefined));
  });
  const reply = await promise;
  clearTimeout(timer);
  socket.close();
  return reply;
}

async function askByStream(message: Uint8Array, server: string): Promise<Uint8Array | undefined> {
  const socket = connect({ host: server, port: namePort });
  const timer = setTimeout(() => socket.destroy(), patience);
  try {
    socket.write(withLength(message));
    for await (const reply of messagesOf(socket)) return reply;
    return undefined;
  } catch {
    return undefined;
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
}

async function answerStream(client: Socket, answering: Answering): Promise<void> {
  try {
    for await (const message of messagesOf(client)) {
      const reply = await answerOne(message, answering);
      if (reply === undefined) break;
      client.write(withLength(reply));
    }
    client.end();
  } catch {
    // Whoever leaves in the middle has nobody to tell.
    client.destroy();
  }
}

/** RFC 1035, 4.2.2: two bytes of length before each message. */
function withLength(message: Uint8Array): Uint8Array {
  return joinBytes([Uint8Array.of(message.length >> 8, message.length & 255), message]);
}

async function* messagesOf(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let pending = new Uint8Array(0);
  for await (const chunk of stream) {
    pending = joinBytes([pending, chunk]);
    for (;;) {
      const length = ((pending[0] ?? 0) << 8) | (pending[1] ?? 0);
      if (pending.length < 2 || pending.length < 2 + length) break;
      yield pending.slice(2, 2 + length);
      pending = pending.slice(2 + length);
    }
    if (pending.length > 2 + longestMessage) return;
  }
}
