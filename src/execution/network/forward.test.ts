import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { test } from 'node:test';
import { forwardTcp } from './forward-tcp.ts';
import { forwardUdp } from './forward-udp.ts';
import { openPorts, portsToOpen } from './open-ports.ts';

const here = '127.0.0.1';

/** A server on a free port; `answer` gets each connection. */
async function serve(answer: (socket: Socket) => void): Promise<{ readonly port: number } & AsyncDisposable> {
  const server: Server = createServer({ allowHalfOpen: true }, answer);
  server.listen(0, here);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { port, [Symbol.asyncDispose]: async () => void (await new Promise((done) => server.close(done))) };
}

async function readAll(socket: Socket): Promise<string> {
  let text = '';
  for await (const chunk of socket) text += String(chunk);
  return text;
}

test('a connection goes through by bytes, and each side may end before the other', async () => {
  // It answers when it has heard all, which it only knows from the end.
  await using server = await serve((socket) => {
    void readAll(socket).then((text) => socket.end(text.toUpperCase()));
  });
  await using listening = await forwardTcp({ address: here, port: 0 }, { address: here, port: server.port });
  const client = connect({ port: listening.port, host: here, allowHalfOpen: true });
  client.end('x'.repeat(300_000));
  assert.equal(await readAll(client), 'X'.repeat(300_000));
});

test('a server that ends first is heard to the end, and may still be written to', async () => {
  const heard = Promise.withResolvers<string>();
  await using server = await serve((socket) => {
    socket.end('bye');
    void readAll(socket).then(heard.resolve);
  });
  await using listening = await forwardTcp({ address: here, port: 0 }, { address: here, port: server.port });
  const client = connect({ port: listening.port, host: here, allowHalfOpen: true });
  assert.equal(await readAll(client), 'bye');
  client.end('late');
  assert.equal(await heard.promise, 'late');
});

test('where nobody listens inside, the connection breaks and the next one is tried anew', async () => {
  // Nobody else can come to listen there meanwhile: the port is in use at another address, which keeps it from those who want it at all.
  await using server = await serve(() => undefined);
  await using listening = await forwardTcp({ address: here, port: 0 }, { address: '127.83.17.5', port: server.port });
  for (let time = 0; time < 2; time++) {
    const client = connect({ port: listening.port, host: here });
    await assert.rejects(readAll(client), { code: 'ECONNRESET' });
  }
});

test('datagrams of two senders get their own answers', async () => {
  const server = createSocket('udp4');
  server.on('message', (bytes, { port, address }) => server.send(`${String(bytes)}!`, port, address));
  server.bind(0, here);
  await once(server, 'listening');
  {
    await using listening = await forwardUdp({ address: here, port: 0 }, { address: here, port: server.address().port });
    const answers = ['one', 'two'].map(async (word) => {
      const client = createSocket('udp4');
      client.send(word, listening.port, here);
      const [answer] = (await once(client, 'message')) as [Uint8Array];
      client.close();
      return String(answer);
    });
    assert.deepEqual(await Promise.all(answers), ['one!', 'two!']);
  }
  server.close();
});

const asked = (host: readonly [number, number] | null, port: number) => ({
  address: here,
  host: host === null ? null : ([host[0], host[1]] as [number, number]),
  port,
  protocol: 'tcp' as const,
});

test('what others send to the socket of a sender is no answer', async () => {
  const [server, stranger, client] = [createSocket('udp4'), createSocket('udp4'), createSocket('udp4')];
  using closing = new DisposableStack();
  for (const socket of [server, stranger, client]) closing.defer(() => void socket.close());
  server.on('message', (_bytes, { port, address }) => {
    stranger.send('evil', port, address, () => server.send('good', port, address));
  });
  server.bind(0, here);
  await once(server, 'listening');
  {
    await using listening = await forwardUdp({ address: here, port: 0 }, { address: here, port: server.address().port });
    client.send('asked', listening.port, here);
    const [answer] = (await once(client, 'message')) as [Uint8Array];
    assert.equal(String(answer), 'good');
  }
});

test('a port that is taken is said as docker says it, and those that were opened before are closed', async () => {
  await using other = await serve(() => undefined);
  await using first = await openPorts([asked(null, 80)], { address: '172.17.0.2', isOurs: () => false });
  const free = first.ports[0]?.host ?? 0;
  await first[Symbol.asyncDispose]();
  const wanted = [asked([free, free], 80), asked([other.port, other.port], 81)];
  await assert.rejects(openPorts(wanted, { address: '172.17.0.2', isOurs: () => false }), {
    code: 'network/port-taken',
    message: `failed to bind host port for ${here}:${other.port}:172.17.0.2:81/tcp: address already in use`,
  });
  await assert.rejects(openPorts(wanted, { address: '172.17.0.2', isOurs: () => true }), {
    code: 'network/port-taken',
    message: `Bind for ${here}:${other.port} failed: port is already allocated`,
  });
  await using again = await openPorts([asked([free, free], 80)], { address: '172.17.0.2', isOurs: () => false });
  assert.equal(again.ports[0]?.host, free);
});

test('a range of host ports for one port: the first that is free', async () => {
  await using other = await serve(() => undefined);
  await using open = await openPorts([asked([other.port, Math.min(other.port + 20, 65535)], 80)], { address: here, isOurs: () => false });
  assert.ok((open.ports[0]?.host ?? 0) > other.port);
});

test('-P opens what is exposed and not named by a -p', () => {
  const wish = { place: { kind: 'default' as const }, published: [asked([8080, 8080], 80)], publishAll: true };
  const open = portsToOpen(wish, ['80/tcp', '53/udp', '9/sctp']).map(
    ({ port, protocol, host }) => `${port}/${protocol} ${host?.[0] ?? 'any'}`,
  );
  assert.deepEqual(open, ['80/tcp 8080', '53/udp any']);
  assert.equal(portsToOpen({ ...wish, publishAll: false }, ['53/udp']).length, 1);
});
