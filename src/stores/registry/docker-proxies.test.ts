import { test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isCode } from '#ground/base/errors.ts';
import { readDockerProxies } from './docker-proxies.ts';

/** What is read of a config.json with these entries. */
function read(proxies: unknown, environment: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'jettison-proxies-'));
  if (proxies !== undefined) writeFileSync(join(folder.path, 'config.json'), JSON.stringify({ auths: {}, proxies }));
  return Object.fromEntries(readDockerProxies({ DOCKER_CONFIG: folder.path, ...environment }));
}

test('proxies of config.json: all five, empty ones left out', () => {
  assert.deepEqual(
    read({ default: { httpProxy: 'http://a', httpsProxy: 'http://b', noProxy: 'c,d', ftpProxy: 'http://e', allProxy: 'socks5://f' } }),
    { HTTP_PROXY: 'http://a', HTTPS_PROXY: 'http://b', NO_PROXY: 'c,d', FTP_PROXY: 'http://e', ALL_PROXY: 'socks5://f' },
  );
  assert.deepEqual(read({ default: { httpProxy: '', noProxy: 'x' } }), { NO_PROXY: 'x' });
  for (const nothing of [undefined, {}, { default: {} }, { other: { httpProxy: 'http://a' } }]) assert.deepEqual(read(nothing), {});
});

test('proxies of config.json: the entry of the engine that docker would ask has the place of the default', () => {
  const proxies = {
    default: { httpProxy: 'http://default', noProxy: 'x' },
    'unix:///var/run/docker.sock': { httpProxy: 'http://local' },
    'tcp://far:2375': { httpsProxy: 'http://far' },
  };
  assert.deepEqual(read(proxies), { HTTP_PROXY: 'http://local' });
  assert.deepEqual(read(proxies, { DOCKER_HOST: 'tcp://far:2375' }), { HTTPS_PROXY: 'http://far' });
  assert.deepEqual(read(proxies, { DOCKER_HOST: 'tcp://other:2375' }), { HTTP_PROXY: 'http://default', NO_PROXY: 'x' });
});

test('proxies of config.json: another type is an error that names the place', () => {
  assert.throws(
    () => read({ default: { httpProxy: 1 } }),
    (error) => isCode(error, 'registry/bad-docker-config') && error.message.includes('proxies.default.httpProxy'),
  );
});
