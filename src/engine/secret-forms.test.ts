import assert from 'node:assert/strict';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { createNeedleSearch } from '#ground/base/needles.ts';
import { hiddenTexts, needlesOf } from './secret-forms.ts';

function bytes(data: string | Uint8Array): Uint8Array {
  return new Uint8Array(Buffer.from(data as string));
}

function isFound(value: string | Uint8Array, text: string | Uint8Array): boolean {
  return createNeedleSearch(needlesOf({ id: 'x', bytes: bytes(value) })).take(bytes(text)) !== undefined;
}

test('a value is found as it is, without the line break at its end, and in the codes that programs write', () => {
  const value = 'a+b/c="ä"{1}';
  for (const text of [
    value,
    `"${value}"`,
    JSON.stringify(value),
    encodeURIComponent(value),
    Buffer.from(value).toString('hex'),
    Buffer.from(value).toString('hex').toUpperCase(),
    ...['', 'x', 'xx', 'xxx'].map((before) => Buffer.from(`${before}${value}yyy`).toString('base64')),
    Buffer.from(`${value}\n`).toString('base64url'),
  ]) {
    assert.ok(isFound(`${value}\n`, `before ${text} after`), text);
    assert.ok(!isFound(`other ${value}`, `before ${text} after`), text);
  }
  const binary = randomBytes(40);
  assert.ok(isFound(binary, Buffer.concat([randomBytes(1000), binary])));
});

test('what every file may hold by chance is not looked for', () => {
  for (const value of ['', 'short', 'password', 'Password', '12345678901'.slice(0, 8), 'aaaaaaaaaaaaaaaaa', '\n\n', '        ']) {
    assert.deepEqual(needlesOf({ id: 'x', bytes: new TextEncoder().encode(value) }), [], value);
  }
  assert.ok(isFound('hunter22', 'is hunter22'));
  assert.ok(isFound('correcthorsebattery', 'is correcthorsebattery'));
});

test('a long value in one line takes no longer for each of its bytes than a short one', () => {
  const began = process.cpuUsage();
  for (const value of [randomBytes(32_000).toString('hex'), `<key>${randomBytes(48_000).toString('base64')}</key>`, '1'.repeat(64_000)]) {
    needlesOf({ id: 'x', bytes: bytes(value) });
  }
  const { user, system } = process.cpuUsage(began);
  assert.ok(user + system < 1_000_000, `${user + system} microseconds`);
});

test('random data raises no alarm', () => {
  const data = randomBytes(8 << 20);
  const text = new TextEncoder().encode(data.subarray(0, 4 << 20).toString('base64'));
  const values = Array.from({ length: 20 }, (_, index) => ({ id: String(index), bytes: new Uint8Array(randomBytes(12 + index)) }));
  const search = createNeedleSearch(values.flatMap(needlesOf));
  for (const block of [new Uint8Array(data), text]) assert.equal(search.take(block), undefined);
});

test('of a value with several lines each part counts that is secret by its name or its look, and no other', () => {
  const npmrc = 'registry=https://registry.npmjs.org/\n//registry.npmjs.org/:_authToken=npm_a8Gh33kdPq7LmZx0\n';
  assert.ok(isFound(npmrc, 'token is npm_a8Gh33kdPq7LmZx0.'));
  assert.ok(!isFound(npmrc, 'registry=https://registry.npmjs.org/\n'));
  const variables = 'NEXT_PUBLIC_SERVICE_V2_NAME_1234=plain\nDB_PASSWORD="tiny-one"\napiKey: k-9-z-9-k\n';
  assert.ok(isFound(variables, '=tiny-one') && isFound(variables, 'k-9-z-9-k'));
  assert.ok(!isFound(variables, 'NEXT_PUBLIC_SERVICE_V2_NAME_1234=other'));
  const json = '{"auths": {"https://index.docker.io/v1/": {"auth": "dXNlcjpwYXNzd29yZDEy"}}}';
  assert.ok(isFound(json, 'dXNlcjpwYXNzd29yZDEy') && !isFound(json, '"https://index.docker.io/v1/": {'));
});

test('a key is found by each of its lines; what is public is not', () => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const key = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
  const lines = key.split('\n').filter((line) => line.length === 64);
  assert.ok(lines.length > 20 && lines.every((line) => isFound(key, `x${line}\n`)));
  for (const line of ['-----BEGIN PRIVATE KEY-----', '-----END PRIVATE KEY-----']) assert.ok(!isFound(key, line));
  const open = publicKey.export({ format: 'pem', type: 'spki' }).toString();
  assert.ok(!isFound(open, open), 'a public key');
  assert.ok(isFound(open + key, key) && !isFound(open + key, open), 'both in one file');
  const openSsh = `-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\nQyNTUxOQAAACBx1S4Lk2k3jsd7Dq0\n`;
  assert.ok(!isFound(openSsh, openSsh.split('\n')[1] ?? '') && isFound(openSsh, openSsh.split('\n')[2] ?? ''));
});

test('texts are hidden from four letters on, the longest first', () => {
  const texts = hiddenTexts([{ id: 'x', bytes: new TextEncoder().encode('abcd\n') }]);
  assert.deepEqual(texts, ['abcd']);
  const more = hiddenTexts([{ id: 'x', bytes: new TextEncoder().encode('hunter22-hunter22') }]);
  assert.ok(more.includes(btoa('hunter22-hunter22').slice(0, 22)));
  assert.ok(more.every((text, index) => index === 0 || text.length <= (more[index - 1]?.length ?? 0)));
});
