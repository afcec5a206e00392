import { test } from 'node:test';
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { digestOf } from '#ground/base/digest.ts';
import { isCode } from '#ground/base/errors.ts';
import { mediaTypes } from '#formats/oci/media-types.ts';
import { actionsToken, startActionsService, type ActionsService } from '#test/kit/actions-service.ts';
import { collectingSink } from '#test/kit/collecting-sink.ts';
import { serve } from '#test/kit/web.ts';
import { openActionsCache, type ActionsCache, type ActionsCacheOptions } from './actions-cache.ts';
import { startStopwatch } from '#test/kit/stopwatch.ts';

const signal = new AbortController().signal;

function openAt(service: Pick<ActionsService, 'url' | 'token'>, more: Partial<ActionsCacheOptions> = {}): ActionsCache {
  return openActionsCache({
    url: new URL(service.url),
    version: 2,
    token: service.token,
    timeout: 60_000,
    isPatient: false,
    userAgent: 'test',
    environment: {},
    timing: { firstPause: 1 },
    now: Date.now,
    ...more,
  });
}

/** What a download of `key` gives, in a sink that has `before` already. */
async function download(cache: ActionsCache, key: string, content: Uint8Array, before = 0): Promise<Buffer> {
  const sink = collectingSink(content.subarray(0, before));
  const descriptor = { mediaType: mediaTypes.layer, digest: digestOf(content), size: content.length };
  await cache.download(key, { descriptor, sink }, signal);
  return sink.bytes();
}

function* inChunks(content: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < content.length; at += 300_000) yield content.subarray(at, at + 300_000);
}

for (const version of [1, 2] as const) {
  test(`version ${version}: small and large contents come back as they were, also from the middle; a key is written once`, async () => {
    await using service = await startActionsService({ version });
    using cache = openAt(service, { version });
    for (const size of [1, 100_000, 8 << 20, (20 << 20) + 5]) {
      const content = randomBytes(size);
      const key = `of-${size}`;
      assert.equal(await cache.has(key, signal), false);
      assert.equal(await cache.write(key, { size, open: () => inChunks(content) }, signal), 'written');
      assert.equal(await cache.write(key, { size, open: () => inChunks(content) }, signal), 'exists');
      assert.equal(await cache.has(key, signal), true);
      assert.equal(await cache.has(key.slice(0, -1), signal), false, 'a key that begins alike is another one');
      assert.ok((await download(cache, key, content)).equals(content));
      assert.ok((await download(cache, key, content, size >> 1)).equals(content));
    }
    assert.deepEqual(service.complaints, []);
  });
}

test('a stream that fails leaves no entry, and its own error is what is said', async () => {
  await using service = await startActionsService();
  using cache = openAt(service);
  const broken = new Error('the disk is gone');
  const open = function* (): Generator<Uint8Array> {
    yield new Uint8Array(9 << 20);
    throw broken;
  };
  await assert.rejects(cache.write('key', { size: 20 << 20, open }, signal), (error) => error === broken);
  assert.equal(await cache.has('key', signal), false);
});

test('of several who replace at once nobody is lost; one who never comes to an end is passed over', async () => {
  await using service = await startActionsService();
  const rivals = { patience: 2000, pause: 5 };
  using cache = openAt(service, { rivals });
  assert.equal(await cache.readLatest('index', 1000, signal), undefined);
  const texts = Array.from({ length: 8 }, (_, index) => `text ${index}`);
  await Promise.all(texts.map(async (text) => await cache.replace('index', new TextEncoder().encode(text), signal)));
  assert.equal(service.keys().length, 8);
  assert.equal(service.keys().at(-1), 'index#8');
  service.block('index#9');
  service.block('index#10');
  using hurried = openAt(service, { rivals: { patience: 10, pause: 5 } });
  await hurried.replace('index', new TextEncoder().encode('last'), signal);
  assert.equal(service.keys().at(-1), 'index#11');
  assert.equal(new TextDecoder().decode(await cache.readLatest('index', 1000, signal)), 'last');
  await assert.rejects(cache.readLatest('index', 3, signal), (error) => isCode(error, 'object/unavailable'));
});

test('too many requests: an export waits, up to its timeout; an import gives up soon', async () => {
  await using service = await startActionsService();
  let count = 0;
  service.fail(() => (++count < 12 ? { status: 429, headers: { 'retry-after': '0' } } : undefined));
  using hurried = openAt(service);
  await assert.rejects(hurried.has('key', signal), (error) => isCode(error, 'object/unavailable') && /429/u.test(error.message));
  assert.equal(count, 5);
  using patient = openAt(service, { isPatient: true, timeout: 150 });
  const passed = startStopwatch();
  await assert.rejects(patient.has('key', signal), (error) => isCode(error, 'object/timeout'));
  const took = passed();
  assert.ok(took < 3000, `${took} ms`);
});

test('tokens: what cannot be used is said without quoting it', () => {
  const url = 'http://127.0.0.1:9/';
  for (const [token, why] of [
    ['', /no JSON Web Token/u],
    ['ghp_secret', /no JSON Web Token/u],
    ['a.b%.c', /no JSON Web Token/u],
    ['a.secret.c', /not JSON|longer|Cannot read the token/u],
    [`a.${btoa('{"exp":1}')}.c`, /at "ac"|Cannot read the token/u],
    [`a.${btoa('{"ac":"{}","exp":99999999999}')}.c`, /Cannot read the token/u],
    [actionsToken([], { to: -5 }), /has expired/u],
    [actionsToken([], { from: 50 }), /not valid yet/u],
  ] as const) {
    assert.throws(
      () => openAt({ url, token }),
      (error) => isCode(error, 'object/bad-token') && why.test(error.message) && (token === '' || !error.message.includes(token)),
      token,
    );
  }
  const { scopes } = openAt({
    url,
    token: actionsToken([
      ['refs/heads/topic', 3],
      ['refs/heads/main', 1],
    ]),
  });
  assert.deepEqual(scopes, [
    { name: 'refs/heads/topic', canRead: true, canWrite: true },
    { name: 'refs/heads/main', canRead: true, canWrite: false },
  ]);
});

test('hostile services: addresses that are none or lead elsewhere, answers without end, an echo of the token', async () => {
  const token = actionsToken();
  let address = '';
  let seen: string | undefined;
  await using elsewhere = await serve((request, response) => {
    seen = request.headers.authorization;
    response.end('x');
  });
  await using service = await serve((request, response) => {
    if (address === 'echo') return response.writeHead(400).end(JSON.stringify({ msg: `no: ${request.headers.authorization ?? ''}` }));
    if (address === 'endless') return response.end(JSON.stringify({ ok: true, more: 'x'.repeat(100_000) }));
    if (address === 'redirect') return response.writeHead(307, { location: `http://${elsewhere.host}/` }).end();
    return response.end(JSON.stringify({ ok: true, signed_download_url: address, matched_key: 'key#1' }));
  });
  using cache = openAt({ url: `http://${service.host}`, token });
  for (const [wrong, why] of [
    ['', /gives no address/u],
    ['file:///etc/passwd', /gives no address/u],
    ['endless', /65536/u],
    ['redirect', /not JSON/u],
    ['echo', /no: Bearer \*\*\*/u],
  ] as const) {
    address = wrong;
    await assert.rejects(cache.readLatest('key', 1000, signal), (error) => {
      assert.ok(error instanceof Error);
      assert.match(error.message, why);
      assert.equal(error.stack?.includes(token), false);
      return true;
    });
  }
  assert.equal(seen, undefined, 'another host gets no token');
});
