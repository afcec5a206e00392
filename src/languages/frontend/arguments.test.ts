import assert from 'node:assert/strict';
import { test } from 'node:test';
import { platformArguments, proxyEnvironment } from './arguments.ts';

test('platforms are arguments of every Dockerfile, and --build-arg wins', () => {
  const target = { os: 'linux', architecture: 'arm', variant: 'v7' };
  const values = platformArguments({ target, build: { os: 'linux', architecture: 'amd64' } }, '', new Map([['TARGETOS', 'plan9']]));
  assert.equal(values.get('TARGETPLATFORM'), 'linux/arm/v7');
  assert.equal(values.get('TARGETVARIANT'), 'v7');
  assert.equal(values.get('TARGETOS'), 'plan9');
  assert.equal(values.get('BUILDPLATFORM'), 'linux/amd64');
  assert.equal(values.get('BUILDVARIANT'), '');
  assert.equal(values.get('TARGETSTAGE'), 'default');
});

test('proxies reach processes in both cases', () => {
  assert.deepEqual(
    proxyEnvironment(
      new Map([
        ['no_proxy', 'x'],
        ['HTTP_PROXY', 'http://p:1'],
        ['OTHER', 'y'],
      ]),
    ),
    ['HTTP_PROXY=http://p:1', 'http_proxy=http://p:1', 'NO_PROXY=x', 'no_proxy=x'],
  );
});
