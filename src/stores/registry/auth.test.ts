import { test } from 'node:test';
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isCode } from '#ground/base/errors.ts';
import { createAuth } from './auth.ts';
import { pushEndpoint, noRegistryConfig, type Endpoint } from './config.ts';
import { createCredentials, type Credential } from './credentials.ts';
import { answerError, askedPause } from './errors.ts';
import { parseChallenges } from './http/challenge.ts';
import { readHostCertificates } from './http/host-certificates.ts';
import { createTransport } from './transport.ts';

const signal = new AbortController().signal;

const read = (header: string): unknown => parseChallenges(header).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)]);

test('challenges: several in one header, quoted commas, escapes, nonsense', () => {
  assert.deepEqual(read('Bearer realm="https://a/t",service="s",scope="repository:x:pull,push", Basic realm="a \\"b\\""'), [
    ['bearer', { realm: 'https://a/t', service: 's', scope: 'repository:x:pull,push' }],
    ['basic', { realm: 'a "b"' }],
  ]);
  assert.deepEqual(read('Negotiate, Basic realm=x'), [
    ['negotiate', {}],
    ['basic', { realm: 'x' }],
  ]);
  for (const header of ['', '=', '"', 'Bearer realm="', `Bearer ${'a=b,'.repeat(100_000)}`, '\u0000', '"\\'.repeat(10_000)]) read(header);
});

function dockerConfig(text: string) {
  const folder = mkdtempDisposableSync(join(tmpdir(), 'jettison-credentials-'));
  writeFileSync(join(folder.path, 'config.json'), text);
  return { find: createCredentials({ environment: { DOCKER_CONFIG: folder.path } }), [Symbol.dispose]: () => folder.remove() };
}

test('credentials of config.json: hosts, old URLs, names of Docker Hub, tokens', async () => {
  using config = dockerConfig(
    JSON.stringify({
      auths: {
        'https://index.docker.io/v1/': { auth: btoa('hub:pass:word') },
        'https://old.example/v1/': { username: 'u', password: 'p' },
        'ghcr.io': { auth: btoa('x:y'), identitytoken: 'refresh' },
        'reg.example:5000': { registrytoken: 'bearer' },
        'empty.example': {},
      },
      detachKeys: 'ctrl-x',
    }),
  );
  const hub = { kind: 'password', username: 'hub', password: 'pass:word' };
  for (const host of ['docker.io', 'registry-1.docker.io']) assert.deepEqual(await config.find(host, signal), hub);
  assert.deepEqual(await config.find('old.example', signal), { kind: 'password', username: 'u', password: 'p' });
  assert.deepEqual(await config.find('ghcr.io', signal), { kind: 'identity-token', token: 'refresh' });
  assert.deepEqual(await config.find('reg.example:5000', signal), { kind: 'registry-token', token: 'bearer' });
  for (const host of ['reg.example', 'empty.example', 'example', 'constructor', '__proto__'])
    assert.equal(await config.find(host, signal), undefined);
});

async function userOf(host: string, environment: Readonly<Record<string, string>>): Promise<string | undefined> {
  const found = await createCredentials({ environment })(host, signal);
  return found?.kind === 'password' ? found.username : undefined;
}

test('credentials that podman login wrote: after docker’s, REGISTRY_AUTH_FILE before them; one repository’s are not the host’s', async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'jettison-credentials-'));
  const write = (name: string, auths: Readonly<Record<string, string>>): void => {
    mkdirSync(join(folder.path, name, '..'), { recursive: true });
    const entries = Object.entries(auths).map(([key, word]) => [key, { auth: btoa(word) }]);
    writeFileSync(join(folder.path, name), JSON.stringify({ auths: Object.fromEntries(entries) }));
  };
  write('docker/config.json', { 'both.example': 'docker:x' });
  write('run/containers/auth.json', {
    'both.example': 'podman:x',
    'run.example': 'run:x',
    'docker.io': 'hub:x',
    'team.example/app': 'app:x',
  });
  write('home/.config/containers/auth.json', { 'run.example': 'kept:x', 'kept.example': 'kept:x' });
  write('named.json', { 'both.example': 'named:x' });
  const usual = { DOCKER_CONFIG: join(folder.path, 'docker'), XDG_RUNTIME_DIR: join(folder.path, 'run'), HOME: join(folder.path, 'home') };
  const users = { 'both.example': 'docker', 'run.example': 'run', 'docker.io': 'hub', 'kept.example': 'kept', 'team.example': undefined };
  for (const [host, user] of Object.entries(users)) assert.equal(await userOf(host, usual), user, host);
  const named = { ...usual, REGISTRY_AUTH_FILE: join(folder.path, 'named.json') };
  assert.equal(await userOf('both.example', named), 'named');
  assert.equal(await userOf('run.example', named), undefined, 'it stands in the place of the usual ones');
});

test('what a user may not read is not taken for broken: certs.d, and auth.json of another user', async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'jettison-credentials-'));
  const environment = { DOCKER_CONFIG: '/nonexistent', XDG_RUNTIME_DIR: folder.path, HOME: folder.path };
  chmodSync(folder.path, 0);
  const isRoot = process.geteuid?.() === 0;
  if (isRoot) process.seteuid?.(65_534);
  try {
    assert.equal(await userOf('a', environment), undefined);
    assert.equal(readHostCertificates('a', environment), undefined);
    const named = { ...environment, REGISTRY_AUTH_FILE: join(folder.path, 'auth.json') };
    await assert.rejects(userOf('a', named), (error) => isCode(error, 'registry/bad-docker-config'));
  } finally {
    if (isRoot) process.seteuid?.(0);
    chmodSync(folder.path, 0o700);
  }
});

test('certs.d: a host on the usual port is found with that port and without, one on another port with it', () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'jettison-certificates-'));
  const environment = { XDG_CONFIG_HOME: folder.path };
  const found = (host: string): string | undefined => readHostCertificates(host, environment)?.folder.slice(folder.path.length + 1);
  const make = (place: string): void => void mkdirSync(join(folder.path, place), { recursive: true });
  const authority = new URL('https://reg.example:443/v2/').host;
  make('containers/certs.d/reg.example:443');
  make('containers/certs.d/reg.example:5000');
  make('containers/certs.d/[::1]:443');
  assert.equal(found(authority), 'containers/certs.d/reg.example:443');
  assert.equal(found('reg.example:5000'), 'containers/certs.d/reg.example:5000');
  assert.equal(found('reg.example:5001'), undefined);
  assert.equal(found('[::1]'), 'containers/certs.d/[::1]:443');
  make('containers/certs.d/reg.example');
  assert.equal(found(authority), 'containers/certs.d/reg.example');
  make('docker/certs.d/reg.example:443');
  assert.equal(found(authority), 'docker/certs.d/reg.example:443', 'an earlier place counts first');
});

test('a broken config.json is an error that names it; a missing one is none', async () => {
  for (const text of [
    '{',
    '{"auths":[1]}',
    '{"auths":{"a":{"auth":"%%%"}}}',
    `{"auths":{"a":{"auth":"${btoa('nocolon')}"}}}`,
    '{"credsStore":"../../evil"}',
  ]) {
    using config = dockerConfig(text);
    await assert.rejects(config.find('a', signal), (error) => isCode(error, 'registry/bad-docker-config'), text);
  }
  assert.equal(await createCredentials({ environment: { DOCKER_CONFIG: '/nonexistent' } })('a', signal), undefined);
  using missing = dockerConfig('{"credHelpers":{"a":"does-not-exist-here"}}');
  await assert.rejects(missing.find('a', signal), (error) => isCode(error, 'registry/no-credential-helper'));
});

type TokenServer = AsyncDisposable & { readonly origin: string };

async function startTokenServer(serve: (request: IncomingMessage, body: string, response: ServerResponse) => void): Promise<TokenServer> {
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    let body = '';
    for await (const chunk of request) body += String(chunk);
    serve(request, body, response);
  };
  const server = createServer((request, response) => void answer(request, response)).listen(0, '127.0.0.1');
  await new Promise((done) => server.once('listening', done));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}

const scopes = ['repository:app:pull'];

async function renewWith(endpoint: Endpoint, realm: string, credential: Credential | undefined): Promise<string | undefined> {
  using transport = createTransport({ userAgent: 'test', environment: {}, timing: { firstPause: 1 } });
  const auth = createAuth(transport, async () => await Promise.resolve(credential));
  return await auth.renew(endpoint, scopes, { header: `Bearer realm="${realm}",service="s"`, refused: undefined }, signal);
}

test('an identity token is changed for a bearer token by OAuth2, and a trouble of the token server is survived', async () => {
  let calls = 0;
  await using server = await startTokenServer((request, body, response) => {
    if (++calls === 1) {
      response.writeHead(503).end();
      return;
    }
    const form = new URLSearchParams(body);
    assert.equal(request.method, 'POST');
    assert.deepEqual(
      [form.get('grant_type'), form.get('refresh_token'), form.get('scope'), form.get('service')],
      ['refresh_token', 'r', scopes[0], 's'],
    );
    response.end('{"access_token":"fresh","expires_in":300,"refresh_token":null}');
  });
  const endpoint = pushEndpoint(noRegistryConfig, new URL(server.origin).host);
  assert.equal(await renewWith(endpoint, `${server.origin}/token`, { kind: 'identity-token', token: 'r' }), 'Bearer fresh');
  assert.equal(calls, 2);
});

test('evil realm: credentials go neither over plain HTTP to another host nor to what is no web address', async () => {
  let calls = 0;
  await using server = await startTokenServer((_, __, response) => {
    calls++;
    response.end('{"token":"x"}');
  });
  const password: Credential = { kind: 'password', username: 'ada', password: 'secret' };
  const secure = pushEndpoint(noRegistryConfig, 'reg.example');
  const plain: Endpoint = { ...secure, origin: 'http://reg.example' };
  const cases: readonly (readonly [Endpoint, string, Credential | undefined])[] = [
    [secure, `${server.origin}/t`, password],
    [secure, `${server.origin}/t`, undefined],
    [plain, `${server.origin}/t`, password],
    [plain, 'file:///etc/passwd', undefined],
    [plain, 'not a url', undefined],
  ];
  for (const [endpoint, realm, credential] of cases) {
    await assert.rejects(
      renewWith(endpoint, realm, credential),
      (error) => isCode(error, 'registry/bad-realm') && error.message.includes('reg.example'),
      realm,
    );
  }
  assert.equal(calls, 0);
  assert.equal(await renewWith(plain, `${server.origin}/t`, undefined), 'Bearer x');
});

test('token answers without a usable token are refused', async () => {
  for (const body of ['{}', '{"token":""}', '{"token":"a\\nb"}', '[]', 'no', '{"token":7}']) {
    await using server = await startTokenServer((_, __, response) => void response.end(body));
    const endpoint = pushEndpoint(noRegistryConfig, new URL(server.origin).host);
    await assert.rejects(renewWith(endpoint, `${server.origin}/t`, undefined), (error) => isCode(error, 'registry/bad-token'), body);
  }
});

test('Retry-After is heeded up to a minute, as seconds or as a date', () => {
  const now = Date.parse('2026-11-21T10:00:00Z');
  const error = (retryAfter: string | undefined) =>
    answerError(
      { method: 'GET', url: new URL('http://h/v2/?sig=secret'), status: 429, statusText: 'Too Many Requests', retryAfter, body: '' },
      now,
    );
  assert.equal(askedPause(error('7')), 7000);
  assert.equal(askedPause(error('Sat, 21 Nov 2026 10:00:30 GMT')), 30_000);
  assert.equal(askedPause(error('Sat, 21 Nov 2026 09:00:00 GMT')), 0);
  assert.equal(askedPause(error('soon')), undefined);
  assert.equal(error('7').retryable, true);
  assert.equal(error('61').retryable, false);
  assert.match(error('61').message, /"h" answered 429 Too Many Requests to GET \/v2\/\?\.\.\.; it asks to wait 61 seconds/u);
});
