/** What servers do to a download for ADD, and to whoever asks for a token: credentials stay where they belong. */
import assert from 'node:assert/strict';
import { mkdtempDisposableSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { JettisonError } from '#ground/base/errors.ts';
import { openDownloads } from '#stores/context/http.ts';
import type { Credential } from '#stores/registry/credentials.ts';
import type { TransportTiming } from '#stores/registry/transport.ts';
import { openContentStore } from '#stores/content/store.ts';
import { addImage, sampleImage, startRegistry, type Twist } from '#test/kit/registry.ts';
import { clientFor, pullAndCheck, temporary } from '#test/kit/transfer.ts';
import { serve, type Handler } from '#test/kit/web.ts';

const signal = new AbortController().signal;
const timing = { leastBytes: 20_000, tries: 3, firstPause: 1 };
/** For those that keep us waiting; on a busy machine any answer may take some time. */
const impatient = { ...timing, firstByte: 500, idle: 500 };
const timingOf = (name: string) => (/stall|no-answer/u.test(name) ? impatient : timing);

/** Asks for `/file` of a server; what was in it, or the error. The store holds nothing but what was asked for. */
async function download(
  handler: Handler,
  { secret, limits = timing }: { readonly secret?: (name: string) => string | undefined; readonly limits?: Partial<TransportTiming> } = {},
): Promise<string> {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'jettison-web-'));
  await using server = await serve(handler);
  using downloads = openDownloads({
    folder: folder.path,
    userAgent: 'test',
    environment: {},
    now: Date.now,
    largest: 1 << 20,
    timing: limits,
    ...(secret === undefined ? {} : { secret }),
  });
  const fetched = downloads.fetch({ url: `http://${server.host}/file`, name: 'file', checksum: undefined }, signal);
  try {
    return readFileSync(join(await fetched, 'file'), 'latin1');
  } catch (error) {
    assert.ok(error instanceof JettisonError, String(error));
    assert.ok(error.message.includes(server.host), error.message);
    assert.notEqual(error.hint, undefined);
    const left = readdirSync(folder.path).flatMap((place) => readdirSync(join(folder.path, place)));
    assert.deepEqual(left, []);
    throw error;
  }
}

const raw =
  (text: string): Handler =>
  (request) =>
    void request.socket.end(text);
const to =
  (location: string): Handler =>
  (_request, response) =>
    void response.writeHead(302, { location }).end();

const failing: readonly (readonly [string, Handler, RegExp])[] = [
  ['add-stall', (_request, response) => void response.writeHead(200, { 'content-length': 10 }).write('a'), /almost nothing/u],
  ['add-no-answer', () => {}, /did not answer/u],
  [
    'add-short',
    (request, response) => response.writeHead(200, { 'content-length': 10 }).write('a', () => request.socket.destroy()),
    /broke/u,
  ],
  [
    'add-endless',
    (_request, response) => {
      const more = (): void => {
        while (!response.destroyed && response.write('x'.repeat(60_000)));
      };
      response.on('drain', more);
      more();
    },
    /more than 1048576 bytes/u,
  ],
  ['add-long', (_request, response) => void response.writeHead(200, { 'content-length': 2 ** 40 }).write('x'), /more than 1048576 bytes/u],
  ['add-500', (_request, response) => void response.writeHead(500).end(), /answered 500/u],
  ['add-404', (_request, response) => void response.writeHead(404).end(), /answered 404/u],
  ['add-http09', raw('hello\n'), /does not answer in HTTP/u],
  ['add-header-bomb', raw(`HTTP/1.1 200 OK\r\n${'a: b\r\n'.repeat(10_000)}\r\n`), /more headers/u],
  ['add-redirect-file', to('file:///etc/passwd'), /which is not the web/u],
  ['add-redirect-ftp', to('ftp://127.0.0.1/'), /which is not the web/u],
  ['add-redirect-metadata', to('http://169.254.169.254/latest/meta-data/iam/security-credentials/'), /network link only/u],
  ['add-redirect-loop', to('/file'), /redirects more than/u],
  ['add-redirect-broken', to('http://a b/'), /redirects to no address/u],
];

test('downloads that cannot be: in time, with the host and the reason, and nothing stays', { concurrency: 4 }, async (t) => {
  const one = async ([name, handler, reason]: (typeof failing)[number]): Promise<void> => {
    await assert.rejects(download(handler, { limits: timingOf(name) }), reason);
  };
  await Promise.all(failing.map((row) => t.test(`F: ${row[0]}`, async () => await one(row))));
});

test('F: add-gzip, add-503-once: bytes are kept as they come, and what may pass is tried again', async () => {
  const packed = gzipSync('hello');
  const gzip: Handler = (_request, response) => void response.writeHead(200, { 'content-encoding': 'gzip' }).end(packed);
  assert.equal(await download(gzip), packed.toString('latin1'));
  let asked = 0;
  const busy: Handler = (_request, response) => void (++asked === 1 ? response.writeHead(503).end() : response.end('hello'));
  assert.equal(await download(busy), 'hello');
});

function secretOf(name: string): string | undefined {
  return name === 'HTTP_AUTH_TOKEN_127.0.0.1' ? 'private' : undefined;
}

test('F: add-redirect-other-host: a secret of one host is not shown to another', async () => {
  const seen: (string | undefined)[] = [];
  await using other = await serve((request, response) => {
    seen.push(request.headers.authorization);
    response.end('hello');
  });
  const first: Handler = (request, response) => {
    seen.push(request.headers.authorization);
    response.writeHead(307, { location: `http://${other.host}/` }).end();
  };
  assert.equal(await download(first, { secret: secretOf }), 'hello');
  assert.deepEqual(seen, ['Bearer private', undefined]);
});

const password: Credential = { kind: 'password', username: 'ada', password: 'love:lace' };
const needsToken =
  (serveToken: Twist): Twist =>
  (call) => {
    if (call.what === 'token') return serveToken(call);
    if (call.request.headers.authorization === 'Bearer good') return false;
    const challenge = `Bearer realm="http://${call.registry.host}/token",service="s"`;
    call.response.writeHead(401, { 'www-authenticate': challenge }).end();
    return true;
  };

type TokenFault = readonly [name: string, twist: Twist, reason: RegExp, credential?: Credential];
const tokenFaults: readonly TokenFault[] = [
  [
    'token-endless',
    needsToken(({ response }) => {
      response.writeHead(200);
      const more = (): void => {
        while (!response.destroyed && response.write(' '.repeat(60_000)));
      };
      response.on('drain', more);
      more();
      return true;
    }),
    /sends more than \d+ bytes/u,
  ],
  ['token-html', needsToken(({ response }) => (response.end('<html>log in</html>'), true)), /token of/u],
  ['token-empty', needsToken(({ response }) => (response.end('{}'), true)), /there is none/u],
  ['token-line-break', needsToken(({ response }) => (response.end('{"token":"a\\r\\nx: y"}'), true)), /token of/u],
  ['token-stall', needsToken(() => true), /did not answer/u],
  ['token-500', needsToken(({ response }) => (response.writeHead(500).end(), true)), /answered 500/u],
  [
    'token-401',
    needsToken(({ response }) => (response.writeHead(401).end('{"details":"wrong password"}'), true)),
    /wrong password/u,
    password,
  ],
  ['token-bad', needsToken(({ response }) => (response.end('{"token":"bad"}'), true)), /401 Unauthorized/u],
  [
    'token-redirect-metadata',
    needsToken(({ response }) => (response.writeHead(302, { location: 'http://169.254.169.254/' }).end(), true)),
    /network link only/u,
    password,
  ],
  [
    'token-realm-other-host',
    (call) => (call.response.writeHead(401, { 'www-authenticate': 'Bearer realm="http://192.0.2.1/token"' }).end(), true),
    /another host, by plain HTTP/u,
    password,
  ],
  [
    'token-realm-script',
    (call) => (call.response.writeHead(401, { 'www-authenticate': 'Bearer realm="javascript:alert(1)"' }).end(), true),
    /no web address/u,
    password,
  ],
];

async function askWith([name, twist, reason, credential]: TokenFault): Promise<void> {
  using folder = temporary();
  await using registry = await startRegistry();
  addImage(registry, 'app:v1', sampleImage([20_000]));
  registry.twist = twist;
  using client = clientFor({}, credential, timingOf(name));
  const content = openContentStore({ folder: folder.path });
  await assert.rejects(pullAndCheck(registry.host, sampleImage([1]), content, client), (error) => {
    assert.ok(error instanceof JettisonError, String(error));
    assert.match(error.message, reason);
    assert.ok(error.message.includes(registry.host), error.message);
    assert.notEqual(error.hint, undefined, error.message);
    return true;
  });
}

test('token servers that go wrong', { concurrency: 4 }, async (t) => {
  await Promise.all(tokenFaults.map((row) => t.test(`F: ${row[0]}`, async () => await askWith(row))));
});

test('F: token-redirect-other-host: neither a password nor a refresh token follows', async () => {
  for (const credential of [password, { kind: 'identity-token', token: 'refresh-me' } as const]) {
    const seen: string[] = [];
    await using other = await serve((request, response) => {
      seen.push(request.headers.authorization ?? 'nothing');
      request.on('data', (chunk: Buffer) => void seen.push(chunk.toString()));
      response.end('{"token":"good"}');
    });
    using folder = temporary();
    await using registry = await startRegistry();
    const image = sampleImage([20_000]);
    addImage(registry, 'app:v1', image);
    registry.twist = needsToken(({ response }) => (response.writeHead(307, { location: `http://${other.host}/` }).end(), true));
    using client = clientFor({}, credential, timing);
    const pulled = pullAndCheck(registry.host, image, openContentStore({ folder: folder.path }), client);
    if (credential.kind === 'password') await pulled;
    else await assert.rejects(pulled, /answered 307/u);
    assert.deepEqual(seen, credential.kind === 'password' ? ['nothing'] : []);
  }
});
