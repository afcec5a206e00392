import { test } from 'node:test';
import assert from 'node:assert/strict';
import { isCode } from '#ground/base/errors.ts';
import { decodeRegistryConfig, isLoopback, noRegistryConfig, pullEndpoints, pushEndpoint } from './config.ts';

test('mirrors come before the registry, for pulls only', () => {
  const config = decodeRegistryConfig({
    'docker.io': { mirrors: ['http://127.0.0.1:5000', 'https://mirror.example/cache/hub/', 'bare.example:444'] },
    'reg.example:5000': { plainHttp: true },
  });
  assert.deepEqual(
    pullEndpoints(config, 'docker.io').map(({ origin, prefix, isMirror }) => [origin, prefix, isMirror]),
    [
      ['http://127.0.0.1:5000', '', true],
      ['https://mirror.example', 'cache/hub', true],
      ['https://bare.example:444', '', true],
      ['https://registry-1.docker.io', '', false],
    ],
  );
  assert.equal(pushEndpoint(config, 'docker.io').origin, 'https://registry-1.docker.io');
  assert.equal(pushEndpoint(config, 'reg.example:5000').origin, 'http://reg.example:5000');
  assert.deepEqual(pullEndpoints(decodeRegistryConfig(undefined), 'ghcr.io'), [pushEndpoint(noRegistryConfig, 'ghcr.io')]);
});

test('a location takes the place of a registry, for pushes too', () => {
  const config = decodeRegistryConfig({ 'docker.io': { location: 'http://127.0.0.1:5000', mirrors: ['mirror.example'] } });
  assert.equal(pushEndpoint(config, 'docker.io').origin, 'http://127.0.0.1:5000');
  assert.deepEqual(
    pullEndpoints(config, 'docker.io').map(({ host, isMirror }) => [host, isMirror]),
    [
      ['mirror.example', true],
      ['127.0.0.1:5000', false],
    ],
  );
  assert.throws(() => decodeRegistryConfig({ 'docker.io': { location: 'https://reg.example/hub' } }), { code: 'registry/bad-config' });
});

test('loopback hosts are spoken to in plain HTTP without being told', () => {
  for (const host of ['localhost', 'localhost:5000', '127.0.0.1', '127.8.9.1:80', '[::1]:5000']) {
    assert.equal(isLoopback(host), true, host);
    assert.equal(pushEndpoint(noRegistryConfig, host).origin, `http://${host}`);
  }
  for (const host of ['127.0.0.1.example.com', 'localhost.example', '128.0.0.1', '10.0.0.1:5000', '[::2]'])
    assert.equal(isLoopback(host), false, host);
  assert.equal(pushEndpoint(decodeRegistryConfig({ 'localhost:1': { plainHttp: false } }), 'localhost:1').origin, 'https://localhost:1');
});

test('what is no configuration is refused', () => {
  const bad: readonly unknown[] = [
    7,
    { 'a b': {} },
    { a: { mirrors: 'x' } },
    { a: { mirrors: ['ftp://x'] } },
    { a: { mirrors: ['http://user:secret@x'] } },
    { a: { mirrors: ['http://x/../y'] } },
    { a: { plainHTTP: true } },
    { 'https://x': {} },
  ];
  for (const json of bad) {
    assert.throws(
      () => decodeRegistryConfig(json),
      (error) => isCode(error, 'registry/bad-config'),
      JSON.stringify(json),
    );
  }
});
