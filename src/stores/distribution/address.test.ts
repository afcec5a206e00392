import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isLoopback, isOwnName, parseAddress, printAddress } from './address.ts';

test('addresses to listen on', () => {
  assert.deepEqual(parseAddress('5000'), { host: '127.0.0.1', port: 5000 });
  assert.deepEqual(parseAddress('[::1]:0'), { host: '::1', port: 0 });
  assert.equal(printAddress(parseAddress('[::1]:80')), '[::1]:80');
  assert.equal(isLoopback(parseAddress('0.0.0.0:5000').host), false);
  for (const text of ['', ':5000', 'example.com:5000', '127.0.0.1', '127.0.0.1:70000', '::1:5000', '127.0.0.1:5000/x']) {
    assert.throws(() => parseAddress(text), { code: 'distribution/bad-address' }, text);
  }
});

test('names that lead to this machine only', () => {
  const address = { host: '127.0.0.1', port: 5000 };
  for (const name of ['localhost:5000', 'registry.localhost', '127.0.0.1', '[::1]:5000', '172.17.0.1:5000'])
    assert.ok(isOwnName(name, address), name);
  for (const name of ['', 'example.com', 'localhost.example.com', '127.0.0.1.nip.io:5000']) assert.ok(!isOwnName(name, address), name);
});
