import { test } from 'node:test';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { JettisonError, isCode } from '#ground/base/errors.ts';
import { createTransport, expectStatus, type TransportTiming } from './transport.ts';

const signal = new AbortController().signal;

/** A server that speaks by hand: `serve` gets each request's place on its connection and the connection's place among all. */
async function startRaw(serve: (socket: Socket, place: { readonly request: number; readonly connection: number }) => void) {
  let connections = 0;
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    const connection = ++connections;
    let request = 0;
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('data', () => serve(socket, { request: ++request, connection }));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/v2/`),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

function transportWith(timing: Partial<TransportTiming> = {}) {
  return createTransport({ userAgent: 'test', environment: {}, timing: { firstPause: 1, ...timing } });
}

const ok = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';

test('a kept connection that the server has closed is replaced at once', async () => {
  await using server = await startRaw((socket, { request, connection }) => {
    if (connection === 1 && request === 2) socket.destroy();
    else socket.write(ok);
  });
  using transport = transportWith();
  for (let round = 0; round < 3; round++) {
    using answer = await transport.send({ method: 'GET', url: server.url }, signal);
    assert.equal(new TextDecoder().decode(await answer.bytes(10)), 'ok');
    await new Promise(setImmediate);
  }
});

test('an answer before the end of a body ends whoever makes it, too: the next try may ask for it again', async () => {
  await using server = await startRaw((socket) => void socket.write('HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n'));
  using transport = transportWith();
  const made = Promise.withResolvers<AbortSignal>();
  const open = async function* (own: AbortSignal) {
    made.resolve(own);
    yield new Uint8Array(10);
    await once(own, 'abort');
  };
  using answer = await transport.send({ method: 'PATCH', url: server.url, body: { size: undefined, open } }, signal);
  assert.equal(answer.status, 503);
  assert.ok((await made.promise).aborted);
});

const drip = (size: number) => (socket: Socket) => {
  socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n');
  let sent = 0;
  const timer = setInterval(() => {
    if (sent >= 100_000 || socket.destroyed) return clearInterval(timer);
    socket.write('x'.repeat(size));
    sent += size;
  }, 10);
};

test('a trickle is a stall; a slow but steady stream is none', async () => {
  await using trickling = await startRaw(drip(10));
  await using steady = await startRaw(drip(10_000));
  using transport = transportWith({ idle: 150, leastBytes: 5000 });
  using slow = await transport.send({ method: 'GET', url: steady.url }, signal);
  assert.equal((await slow.bytes(200_000)).length, 100_000);
  using trickle = await transport.send({ method: 'GET', url: trickling.url }, signal);
  await assert.rejects(
    trickle.bytes(200_000),
    (error) => isCode(error, 'registry/timeout') && error.message.includes('almost nothing for 0.15 seconds'),
  );
});

test('what came while this process did nothing is no stall', async () => {
  await using server = await startRaw((socket) => void socket.write('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nab'));
  const sockets = Promise.withResolvers<Socket>();
  await using talking = await startRaw((socket) => {
    socket.write('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nab');
    sockets.resolve(socket);
  });
  using transport = transportWith({ idle: 100, leastBytes: 1 });
  using answer = await transport.send({ method: 'GET', url: talking.url }, signal);
  const chunks = answer.chunks()[Symbol.asyncIterator]();
  await chunks.next();
  const socket = await sockets.promise;
  const rest = chunks.next();
  // The timer has begun; the bytes are sent, and nothing is read before its time is over.
  await new Promise(setImmediate);
  socket.write('cd');
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 250);
  assert.equal((await rest).value?.length, 2);
  using silent = await transport.send({ method: 'GET', url: server.url }, signal);
  await assert.rejects(silent.bytes(10), (error) => isCode(error, 'registry/timeout'));
});

test('aborting ends a request in any of its waits, with the reason', async () => {
  await using silent = await startRaw(() => {});
  await using half = await startRaw((socket) => void socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf'));
  using transport = transportWith();
  for (const [url, head] of [
    [silent.url, false],
    [half.url, true],
  ] as const) {
    const controller = new AbortController();
    const sending = transport.send({ method: 'GET', url }, controller.signal);
    if (head) {
      using answer = await sending;
      const reading = answer.bytes(1000);
      setImmediate(() => controller.abort(new Error('enough')));
      await assert.rejects(reading, /enough/u);
    } else {
      setTimeout(() => controller.abort(new Error('enough')), 20);
      await assert.rejects(sending, /enough/u);
    }
  }
  await assert.rejects(transport.send({ method: 'GET', url: half.url }, AbortSignal.abort(new Error('before'))), /before/u);
});

test('error bodies are cut, cleaned and quoted; markup is not', async () => {
  const bodies: readonly (readonly [string, RegExp])[] = [
    ['{"errors":[{"code":"DENIED","message":"no \\u001b[31mentry"}]}', /418 Teapot to GET \/v2\/: DENIED: no \u{fffd}\[31mentry$/u],
    ['<html><b>secret page</b>', /418 Teapot to GET \/v2\/$/u],
    [`plain ${'x'.repeat(100_000)}`, /: plain x{1,400}$|\/v2\/$/u],
    ['{"errors":[null,7,{"code":7}]}', /\/v2\/$/u],
  ];
  for (const [body, shown] of bodies) {
    await using server = await startRaw((socket) => void socket.end(`HTTP/1.1 418 Teapot\r\nconnection: close\r\n\r\n${body}`));
    using transport = transportWith();
    using answer = await transport.send({ method: 'GET', url: server.url }, signal);
    await assert.rejects(expectStatus(answer, 'GET', [200]), (error) => error instanceof JettisonError && shown.test(error.message));
  }
});

test('who keeps us waiting is told, and what is tried again', async () => {
  const told: string[] = [];
  await using server = await startRaw((socket, { connection }) => {
    const first = ['HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab', 'HTTP/1.1 503 Busy\r\nconnection: close\r\ncontent-length: 0\r\n\r\n'];
    socket.write(first[connection - 1] ?? ok);
  });
  const timing = { firstPause: 1, notice: 50, idle: 400, leastBytes: 10 };
  using transport = createTransport({ userAgent: 'test', environment: {}, timing, onWait: (text) => void told.push(text) });
  await transport.persist(async () => {
    using answer = await transport.send({ method: 'GET', url: server.url }, signal);
    await expectStatus(answer, 'GET', [200]);
    return await answer.bytes(10);
  }, signal);
  const { host } = server.url;
  assert.deepEqual(
    told.map((text) => text.replaceAll(/in \d\.\ds/gu, 'in Xs')),
    [
      `Still waiting: "${host}" sent almost nothing for 0.05 of at most 0.4 seconds`,
      `Still waiting: "${host}" sent almost nothing for 0.15 of at most 0.4 seconds`,
      `"${host}" sent almost nothing for 0.4 seconds. Trying again in Xs (try 2 of 2)`,
      `"${host}" answered 503 Busy to GET /v2/. Trying again in Xs (try 3 of 5)`,
    ],
  );
});

/** A server at this port, or at a free one for 0. */
async function begin(port: number) {
  const server = createServer(
    (socket) => void socket.on('error', () => {}).on('data', () => void socket.end(ok.replace('\r\n', '\r\nconnection: close\r\n'))),
  );
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port, end: () => void server.close() };
}

test('a server that starts anew is waited for; one that was never there is not', async () => {
  const first = await begin(0);
  const url = new URL(`http://127.0.0.1:${first.port}/v2/`);
  using transport = transportWith({ firstPause: 40 });
  let tries = 0;
  const ask = async (): Promise<string> =>
    await transport.persist(async () => {
      tries++;
      using answer = await transport.send({ method: 'GET', url }, signal);
      return new TextDecoder().decode(await answer.bytes(10));
    }, signal);
  assert.equal(await ask(), 'ok');
  first.end();
  const again = new Promise((done) => setTimeout(done, 100)).then(async () => await begin(first.port));
  assert.equal(await ask(), 'ok');
  assert.ok(tries > 3, `${tries}`);
  (await again).end();
  using stranger = transportWith();
  tries = 0;
  await assert.rejects(
    stranger.persist(async () => {
      tries++;
      await stranger.send({ method: 'GET', url }, signal);
    }, signal),
    /connection refused/u,
  );
  assert.equal(tries, 1);
});

test('a proxy may be named without a scheme; one that is not of the web is refused by its variable, one that is gone is named', async () => {
  const asked: string[] = [];
  const proxy = createHttpServer((request, response) => {
    asked.push(request.url ?? '');
    response.end('ok');
  }).listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const { port } = proxy.address() as AddressInfo;
  const url = new URL('http://registry.invalid/v2/');
  const sent = async (environment: Readonly<Record<string, string>>) => {
    using transport = createTransport({ userAgent: 'test', environment });
    using answer = await transport.send({ method: 'GET', url }, signal);
    return answer.status;
  };
  try {
    for (const address of [`http://127.0.0.1:${port}`, `127.0.0.1:${port}`]) assert.equal(await sent({ HTTP_PROXY: address }), 200);
    assert.deepEqual(asked, [url.href, url.href]);
  } finally {
    proxy.close();
    await once(proxy, 'close');
  }
  await assert.rejects(
    sent({ HTTP_PROXY: `http://127.0.0.1:${port}` }),
    (error) =>
      isCode(error, 'registry/unreachable') && error.message.includes(`"127.0.0.1:${port}", the proxy on the way to "registry.invalid"`),
  );
  await assert.rejects(
    sent({ http_proxy: 'socks5://u:hush@127.0.0.1:1' }),
    (error) => isCode(error, 'registry/bad-proxy') && error.message.includes('http_proxy') && !error.message.includes('hush'),
  );
});
