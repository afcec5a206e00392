import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempDisposableSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { mediaTypes } from '#formats/oci/media-types.ts';
import { serveRegistry, type Serving } from './serve.ts';
import { readUsers } from './users.ts';

type Desk = AsyncDisposable & {
  readonly url: string;
  readonly port: number;
  readonly folder: string;
  ask(
    method: string,
    path: string,
    more?: { readonly body?: string | Uint8Array; readonly headers?: Record<string, string> },
  ): Promise<Response>;
  /** Pushes a blob at once; gives its digest. */
  blob(repository: string, bytes: string): Promise<string>;
};

async function openDesk(more: Partial<Serving> = {}): Promise<Desk> {
  const own = more.folder === undefined ? mkdtempDisposableSync(join(tmpdir(), 'jettison-distribution-')) : undefined;
  const folder = more.folder ?? own?.path ?? '';
  const registry = await serveRegistry({ address: { host: '127.0.0.1', port: 0 }, tls: undefined, users: undefined, ...more, folder });
  const url = `http://127.0.0.1:${registry.port}`;
  const desk: Desk = {
    url,
    port: registry.port,
    folder,
    ask: async (method, path, { body, headers } = {}) =>
      await fetch(`${url}${path}`, { method, headers: headers ?? {}, ...(body === undefined ? {} : { body: Buffer.from(body) }) }),
    async blob(repository, bytes) {
      const digest = sha256(bytes);
      const done = await desk.ask('POST', `/v2/${repository}/blobs/uploads/?digest=${digest}`, { body: bytes });
      assert.equal(done.status, 201);
      return digest;
    },
    async [Symbol.asyncDispose]() {
      await registry[Symbol.asyncDispose]();
      own?.remove();
    },
  };
  return desk;
}

function sha256(bytes: string | Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

async function codeOf(response: Response): Promise<string> {
  const { errors } = (await response.json()) as { errors: { code: string }[] };
  return `${response.status} ${errors[0]?.code}`;
}

function descriptor(mediaType: string, bytes: string): object {
  return { mediaType, digest: sha256(bytes), size: bytes.length };
}

function manifestOf(config: string, layers: readonly string[], more: object = {}): string {
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config: descriptor(mediaTypes.config, config),
    layers: layers.map((one) => descriptor(mediaTypes.layer, one)),
    ...more,
  });
}

async function push(desk: Desk, repository: string, reference: string, manifest: string): Promise<Response> {
  return await desk.ask('PUT', `/v2/${repository}/manifests/${reference}`, {
    body: manifest,
    headers: { 'content-type': mediaTypes.manifest },
  });
}

test('a blob comes at once, in one PUT, and in chunks', async () => {
  await using desk = await openDesk();
  const once = await desk.blob('app', 'at once');
  assert.equal(await (await desk.ask('GET', `/v2/app/blobs/${once}`)).text(), 'at once');

  const begun = await desk.ask('POST', '/v2/app/blobs/uploads/');
  assert.equal(begun.status, 202);
  const place = begun.headers.get('location') ?? '';
  assert.equal((await desk.ask('PUT', `${place}?digest=${sha256('put')}`, { body: 'put' })).status, 201);
  assert.equal(await codeOf(await desk.ask('PUT', `${place}?digest=${sha256('put')}`, { body: 'put' })), '404 BLOB_UPLOAD_UNKNOWN');

  const chunks = (await desk.ask('POST', '/v2/app/blobs/uploads/')).headers.get('location') ?? '';
  const first = await desk.ask('PATCH', chunks, { body: 'in chunks', headers: { 'content-range': '0-8' } });
  assert.deepEqual([first.status, first.headers.get('range')], [202, '0-8']);
  const early = await desk.ask('PATCH', chunks, { body: 'xx', headers: { 'content-range': '5-6' } });
  assert.deepEqual([early.status, early.headers.get('range')], [416, '0-8']);
  const shown = await desk.ask('GET', chunks);
  assert.deepEqual([shown.status, shown.headers.get('range')], [204, '0-8']);
  await desk.ask('PATCH', chunks, { body: ' two', headers: { 'content-range': '9-12' } });
  const done = await desk.ask('PUT', `${chunks}?digest=${sha256('in chunks two')}`);
  assert.equal(done.headers.get('docker-content-digest'), sha256('in chunks two'));
  assert.equal(await (await desk.ask('GET', done.headers.get('location') ?? '')).text(), 'in chunks two');

  const long = `sha512:${createHash('sha512').update('long').digest('hex')}`;
  assert.equal((await desk.ask('POST', `/v2/app/blobs/uploads/?digest=${long}`, { body: 'long' })).status, 201);
  assert.equal((await desk.ask('HEAD', `/v2/app/blobs/${long}`)).headers.get('content-length'), '4');
});

test('bytes of another digest are refused and leave nothing', async () => {
  await using desk = await openDesk();
  const wrong = sha256('right');
  assert.equal(await codeOf(await desk.ask('POST', `/v2/app/blobs/uploads/?digest=${wrong}`, { body: 'wrong' })), '400 DIGEST_INVALID');
  assert.equal(await codeOf(await desk.ask('POST', '/v2/app/blobs/uploads/?digest=sha256:12', { body: 'wrong' })), '400 DIGEST_INVALID');
  assert.equal((await desk.ask('HEAD', `/v2/app/blobs/${wrong}`)).status, 404);
  assert.deepEqual(readdirSync(join(desk.folder, 'ingest')), []);
  assert.deepEqual(readdirSync(join(desk.folder, 'blobs/sha256')), []);
});

test('an upload whose connection breaks goes on where it was', async () => {
  await using desk = await openDesk();
  const place = (await desk.ask('POST', '/v2/app/blobs/uploads/')).headers.get('location') ?? '';
  const broken = httpRequest(`${desk.url}${place}`, { method: 'PATCH', headers: { 'content-length': 100 } });
  const ended = new Promise((done) => broken.on('error', done).on('close', done));
  broken.write('the first half, ');
  const part = join(desk.folder, 'ingest', readdirSync(join(desk.folder, 'ingest'))[0] ?? '');
  while (statSync(part).size === 0) await new Promise((done) => setImmediate(done));
  // The connection is still open: who asks again has given it up, and the server closes it.
  const shown = await desk.ask('GET', place);
  assert.equal(shown.headers.get('range'), '0-15');
  await ended;
  const whole = 'the first half, the second';
  assert.equal((await desk.ask('HEAD', `/v2/app/blobs/${sha256(whole)}`)).status, 404);
  await desk.ask('PATCH', place, { body: 'the second', headers: { 'content-range': '16-25' } });
  assert.equal((await desk.ask('PUT', `${place}?digest=${sha256(whole)}`)).status, 201);
  assert.equal(await (await desk.ask('GET', `/v2/app/blobs/${sha256(whole)}`)).text(), whole);
});

test('ranges of a blob', async () => {
  await using desk = await openDesk();
  const path = `/v2/app/blobs/${await desk.blob('app', '0123456789')}`;
  for (const [range, status, text, where] of [
    ['bytes=0-3', 206, '0123', 'bytes 0-3/10'],
    ['bytes=7-', 206, '789', 'bytes 7-9/10'],
    ['bytes=-2', 206, '89', 'bytes 8-9/10'],
    ['bytes=8-100', 206, '89', 'bytes 8-9/10'],
    ['bytes=0-1,4-5', 200, '0123456789', null],
    ['lines=1-2', 200, '0123456789', null],
  ] as const) {
    const found = await desk.ask('GET', path, { headers: { range } });
    assert.deepEqual([found.status, await found.text(), found.headers.get('content-range')], [status, text, where], range);
  }
  const beyond = await desk.ask('GET', path, { headers: { range: 'bytes=10-' } });
  assert.deepEqual([beyond.status, beyond.headers.get('content-range')], [416, 'bytes */10']);
});

test('a blob is mounted from another repository, and stays there when one lets it go', async () => {
  await using desk = await openDesk();
  const digest = await desk.blob('one', 'shared');
  assert.equal((await desk.ask('HEAD', `/v2/two/blobs/${digest}`)).status, 404);
  assert.equal((await desk.ask('POST', `/v2/two/blobs/uploads/?mount=${digest}&from=one`)).status, 201);
  assert.equal((await desk.ask('POST', `/v2/two/blobs/uploads/?mount=${sha256('missing')}&from=one`)).status, 202);
  assert.equal((await desk.ask('POST', `/v2/three/blobs/uploads/?mount=${digest}&from=nowhere`)).status, 202);
  assert.equal((await desk.ask('DELETE', `/v2/one/blobs/${digest}`)).status, 202);
  assert.equal(await codeOf(await desk.ask('GET', `/v2/one/blobs/${digest}`)), '404 BLOB_UNKNOWN');
  assert.equal(await (await desk.ask('GET', `/v2/two/blobs/${digest}`)).text(), 'shared');
  await desk.ask('DELETE', `/v2/two/blobs/${digest}`);
  assert.equal(existsSync(join(desk.folder, 'blobs/sha256', digest.slice(7))), false);
});

test('manifests: pushed by tag and digest, only whole, deleted', async () => {
  await using desk = await openDesk();
  const manifest = manifestOf('{}', ['layer']);
  assert.equal(await codeOf(await push(desk, 'app', '1', manifest)), '404 MANIFEST_BLOB_UNKNOWN');
  await desk.blob('app', '{}');
  await desk.blob('app', 'layer');
  const pushed = await push(desk, 'app', '1', manifest);
  assert.deepEqual([pushed.status, pushed.headers.get('docker-content-digest')], [201, sha256(manifest)]);
  for (const reference of ['1', sha256(manifest)]) {
    const found = await desk.ask('GET', `/v2/app/manifests/${reference}`);
    assert.deepEqual([found.headers.get('content-type'), await found.text()], [mediaTypes.manifest, manifest]);
    const head = await desk.ask('HEAD', `/v2/app/manifests/${reference}`);
    assert.deepEqual([head.headers.get('content-length'), await head.text()], [String(manifest.length), '']);
  }
  assert.equal(await codeOf(await push(desk, 'app', sha256('other'), manifest)), '400 DIGEST_INVALID');
  assert.equal(await codeOf(await push(desk, 'app', '2', '{"schemaVersion":2}')), '400 MANIFEST_INVALID');
  assert.equal(await codeOf(await push(desk, 'app', '2', 'x'.repeat((4 << 20) + 1))), '413 SIZE_INVALID');
  assert.equal(await codeOf(await desk.ask('GET', '/v2/app/manifests/2')), '404 MANIFEST_UNKNOWN');

  const index = JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.index, manifests: [descriptor(mediaTypes.manifest, manifest)] });
  const headers = { 'content-type': mediaTypes.index };
  assert.equal(await codeOf(await desk.ask('PUT', '/v2/elsewhere/manifests/all', { body: index, headers })), '404 MANIFEST_BLOB_UNKNOWN');
  assert.equal((await desk.ask('PUT', '/v2/app/manifests/all', { body: index, headers })).status, 201);

  assert.equal((await desk.ask('DELETE', '/v2/app/manifests/all')).status, 202);
  assert.equal((await desk.ask('GET', `/v2/app/manifests/${sha256(index)}`)).status, 200);
  assert.equal((await desk.ask('DELETE', `/v2/app/manifests/${sha256(manifest)}`)).status, 202);
  assert.equal((await desk.ask('GET', '/v2/app/manifests/1')).status, 404);
  assert.deepEqual(await (await desk.ask('GET', '/v2/app/tags/list')).json(), { name: 'app', tags: [] });
});

test('lists come in pages', async () => {
  await using desk = await openDesk();
  await desk.blob('app', '{}');
  for (const tag of ['c', 'a', 'b']) await push(desk, 'app', tag, manifestOf('{}', []));
  await desk.blob('other/app', 'x');
  const first = await desk.ask('GET', '/v2/app/tags/list?n=2');
  assert.deepEqual(await first.json(), { name: 'app', tags: ['a', 'b'] });
  assert.equal(first.headers.get('link'), '</v2/app/tags/list?last=b&n=2>; rel="next"');
  const second = await desk.ask('GET', '/v2/app/tags/list?n=2&last=b');
  assert.deepEqual([await second.json(), second.headers.get('link')], [{ name: 'app', tags: ['c'] }, null]);
  assert.deepEqual(await (await desk.ask('GET', '/v2/app/tags/list?n=0')).json(), { name: 'app', tags: [] });
  assert.deepEqual(await (await desk.ask('GET', '/v2/_catalog')).json(), { repositories: ['app', 'other/app'] });
  assert.equal(await codeOf(await desk.ask('GET', '/v2/missing/tags/list')), '404 NAME_UNKNOWN');
  assert.equal((await desk.ask('GET', '/v2/app/tags/list?n=-1')).status, 400);
});

test('referrers of a manifest, also of one that is not there yet', async () => {
  await using desk = await openDesk();
  await desk.blob('app', '{}');
  const subject = manifestOf('{}', []);
  const about = { subject: descriptor(mediaTypes.manifest, subject), annotations: { said: 'so' } };
  const signature = manifestOf('{}', [], { ...about, artifactType: 'application/vnd.example.signature' });
  const list = manifestOf('{}', [], about);
  const pushed = await push(desk, 'app', sha256(signature), signature);
  assert.equal(pushed.headers.get('oci-subject'), sha256(subject));
  await push(desk, 'app', 'list', list);
  const path = `/v2/app/referrers/${sha256(subject)}`;
  const all = (await (await desk.ask('GET', path)).json()) as { manifests: { digest: string }[] };
  assert.deepEqual(all.manifests.map(({ digest }) => digest).toSorted(), [sha256(signature), sha256(list)].toSorted());
  const filtered = await desk.ask('GET', `${path}?artifactType=application/vnd.example.signature`);
  assert.equal(filtered.headers.get('oci-filters-applied'), 'artifactType');
  assert.equal(filtered.headers.get('content-type'), mediaTypes.index);
  assert.deepEqual(((await filtered.json()) as { manifests: unknown }).manifests, [
    {
      mediaType: mediaTypes.manifest,
      digest: sha256(signature),
      size: signature.length,
      artifactType: 'application/vnd.example.signature',
      annotations: { said: 'so' },
    },
  ]);
  await desk.ask('DELETE', `/v2/app/manifests/${sha256(signature)}`);
  await desk.ask('DELETE', `/v2/app/manifests/${sha256(list)}`);
  assert.deepEqual(((await (await desk.ask('GET', path)).json()) as { manifests: unknown }).manifests, []);
});

test('damage on disk is never served as a whole blob', async () => {
  await using desk = await openDesk();
  const digest = await desk.blob('app', 'good');
  writeFileSync(join(desk.folder, 'blobs/sha256', digest.slice(7)), 'evil');
  await assert.rejects(async () => await (await desk.ask('GET', `/v2/app/blobs/${digest}`)).text());
  assert.equal((await desk.ask('HEAD', `/v2/app/blobs/${digest}`)).status, 404);
});

test('what was pushed is there after a restart; what was not finished is gone', async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'jettison-distribution-'));
  {
    await using desk = await openDesk({ folder: folder.path });
    await desk.blob('app', '{}');
    await push(desk, 'app', 'kept', manifestOf('{}', []));
    const place = (await desk.ask('POST', '/v2/app/blobs/uploads/')).headers.get('location') ?? '';
    await desk.ask('PATCH', place, { body: 'never finished' });
    assert.equal(readdirSync(join(folder.path, 'ingest')).length, 1);
  }
  assert.deepEqual(readdirSync(join(folder.path, 'ingest')), []);
  await using again = await openDesk({ folder: folder.path });
  assert.equal(await (await again.ask('GET', '/v2/app/manifests/kept')).text(), manifestOf('{}', []));
});

test('names that are none, methods and places that there are not', async () => {
  await using desk = await openDesk();
  const digest = sha256('x');
  assert.equal(await codeOf(await desk.ask('GET', `/v2/App/blobs/${digest}`)), '400 NAME_INVALID');
  assert.equal(await codeOf(await desk.ask('GET', `/v2/..%2f..%2fetc/blobs/${digest}`)), '400 NAME_INVALID');
  assert.equal(await codeOf(await desk.ask('GET', '/v2/app/blobs/sha256:..%2f..%2fregistry.db')), '404 UNSUPPORTED');
  assert.equal(await codeOf(await desk.ask('GET', '/v2/app/manifests/..')), '404 UNSUPPORTED');
  assert.equal(await codeOf(await desk.ask('GET', '/v2/app/manifests/-x')), '400 MANIFEST_INVALID');
  assert.equal(await codeOf(await desk.ask('POST', `/v2/app/blobs/${digest}`)), '405 UNSUPPORTED');
  assert.equal((await desk.ask('GET', '/')).status, 404);
  assert.equal((await desk.ask('GET', '/%zz')).status, 400);
  // Names may hold the words of places.
  assert.equal(
    (await desk.ask('HEAD', `/v2/app/blobs/uploads/manifests/blobs/${await desk.blob('app/blobs/uploads/manifests', 'y')}`)).status,
    200,
  );
});

test('web pages of elsewhere may not ask, by whatever name', async () => {
  await using desk = await openDesk();
  const status = async (headers: Record<string, string>): Promise<number | undefined> => {
    const done = Promise.withResolvers<number | undefined>();
    const sent = httpRequest(`${desk.url}/v2/`, { headers }, (response) => {
      response.resume();
      done.resolve(response.statusCode);
    });
    sent.end();
    return await done.promise;
  };
  const own = `127.0.0.1:${desk.port}`;
  assert.equal(await status({ host: 'rebound.example:5000' }), 403);
  assert.equal(await status({ host: own, origin: 'https://example.com' }), 403);
  assert.equal(await status({ host: own, origin: `http://${own}` }), 200);
  assert.equal(await status({ host: 'localhost:5000' }), 200);
});

test('only so many uploads at once', async () => {
  await using desk = await openDesk();
  let last = 0;
  for (let count = 0; count < 201; count++) last = (await desk.ask('POST', '/v2/app/blobs/uploads/')).status;
  assert.equal(last, 429);
});

function basic(text: string): Record<string, string> {
  return { authorization: `Basic ${Buffer.from(text).toString('base64')}` };
}

test('a password is asked for where there are users', async () => {
  const users = readUsers('# people\nanna:$2y$05$abcdefghijklmnopqrstuuVWu8RjbNovPZWAMRdd7iqaaG0mI53Uu\n', 'users');
  await using desk = await openDesk({ users });
  const none = await desk.ask('GET', '/v2/');
  assert.equal(none.headers.get('www-authenticate'), 'Basic realm="jettison registry"');
  assert.equal(await codeOf(none), '401 UNAUTHORIZED');
  for (const wrong of ['anna:falsch', 'otto:geheim', 'anna', ':', `anna:${'x'.repeat(100)}`]) {
    assert.equal((await desk.ask('GET', '/v2/', { headers: basic(wrong) })).status, 401, wrong);
  }
  for (let times = 0; times < 2; times++) assert.equal((await desk.ask('GET', '/v2/', { headers: basic('anna:geheim') })).status, 200);
  assert.throws(() => readUsers('anna:{SHA}abc', 'users'), { code: 'distribution/bad-htpasswd', message: /^users:1: / });
  assert.throws(() => readUsers(`anna:$2y$31$${'.'.repeat(53)}`, 'users'), { code: 'distribution/bad-htpasswd' });
});
