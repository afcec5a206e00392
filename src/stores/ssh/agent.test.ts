import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createPublicKey, generateKeyPairSync, verify, type KeyObject } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { isCode } from '#ground/base/errors.ts';
import { serveFrames } from '#ground/linux/frame-socket.ts';
import { openSshAgent, type SshAgent } from './agent.ts';
import { fromBase64Url, join as joined, mpint, readWire, string, u32 } from './keys/wire.ts';

const never = new AbortController().signal;
const data = Buffer.from('what is signed');

async function withFolder(work: (folder: string) => Promise<void> | void): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'jettison-ssh-'));
  try {
    await work(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function pair(kind: string): KeyObject {
  if (kind === 'ed25519') return generateKeyPairSync('ed25519').privateKey;
  if (kind === 'rsa') return generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
  return generateKeyPairSync('ec', { namedCurve: kind }).privateKey;
}

function part(value: string | undefined): Uint8Array {
  return fromBase64Url(value ?? '');
}

/** A key in OpenSSH's own format, as its PROTOCOL.key has it. */
function openSsh(key: KeyObject, cipher = 'none'): string {
  const jwk = key.export({ format: 'jwk' });
  const name = { 'P-256': 'nistp256', 'P-384': 'nistp384', 'P-521': 'nistp521' }[jwk.crv ?? ''] ?? '';
  const point = joined(new Uint8Array([4]), part(jwk.x), part(jwk.y));
  const numbers = {
    OKP: joined(string('ssh-ed25519'), string(part(jwk.x)), string(joined(part(jwk.d), part(jwk.x)))),
    EC: joined(string(`ecdsa-sha2-${name}`), string(name), string(point), mpint(part(jwk.d))),
    RSA: joined(string('ssh-rsa'), ...[jwk.n, jwk.e, jwk.d, jwk.qi, jwk.p, jwk.q].map((value) => mpint(part(value)))),
  }[jwk.kty ?? ''];
  const inner = joined(u32(7), u32(7), numbers ?? new Uint8Array(0), string('me@home'), new Uint8Array([1, 2, 3]));
  const magic = Buffer.from('openssh-key-v1\0');
  const whole = joined(magic, string(cipher), string('none'), string(''), u32(1), string(''), string(inner));
  const lines = Buffer.from(whole)
    .toString('base64')
    .replaceAll(/.{1,70}/gu, '$&\n');
  return `-----BEGIN OPENSSH PRIVATE KEY-----\n${lines}-----END OPENSSH PRIVATE KEY-----\n`;
}

async function identities(agent: SshAgent): Promise<readonly Uint8Array[]> {
  const reply = await agent.answer(new Uint8Array([11]), never);
  assert.equal(reply[0], 12);
  const reader = readWire(reply.subarray(1));
  return Array.from({ length: reader.u32() }, () => {
    const blob = reader.bytes();
    assert.equal(reader.text(), '', 'a comment names people and machines');
    return blob;
  });
}

function signRequest(blob: Uint8Array, flags: number): Uint8Array {
  return joined(new Uint8Array([13]), string(blob), string(data), u32(flags));
}

async function signature(
  agent: SshAgent,
  blob: Uint8Array,
  flags: number,
): Promise<{ readonly algorithm: string; readonly bytes: Uint8Array }> {
  const reply = await agent.answer(signRequest(blob, flags), never);
  assert.equal(reply[0], 14);
  const reader = readWire(readWire(reply.subarray(1)).bytes());
  return { algorithm: reader.text(), bytes: reader.bytes() };
}

/** r and s as one, each of the curve's size. */
function plainSignature(bytes: Uint8Array, size: number): Uint8Array {
  const reader = readWire(bytes);
  return Buffer.concat([reader.bytes(), reader.bytes()].map((number) => Buffer.concat([Buffer.alloc(size), number]).subarray(-size)));
}

test('keys of files: each kind signs so that its public key says yes, from OpenSSH’s format and from PEM', async () => {
  await withFolder(async (folder) => {
    for (const kind of ['ed25519', 'rsa', 'P-256', 'P-384', 'P-521']) {
      const key = pair(kind);
      const publicKey = createPublicKey(key);
      writeFileSync(join(folder, 'own'), openSsh(key));
      writeFileSync(join(folder, 'pem'), key.export({ type: kind === 'rsa' ? 'pkcs1' : 'pkcs8', format: 'pem' }));
      const [blob, other] = await identities(openSshAgent('x', [join(folder, 'own'), join(folder, 'pem')]));
      assert.deepEqual(blob, other, kind);
      assert.ok(blob);
      const agent = openSshAgent('x', [join(folder, 'own')]);
      const { algorithm, bytes } = await signature(agent, blob, 0);
      if (kind === 'ed25519') assert.ok(verify(null, data, publicKey, bytes));
      else if (kind === 'rsa') {
        assert.deepEqual([algorithm, verify('sha1', data, publicKey, bytes)], ['ssh-rsa', true]);
        for (const [flags, name, hash] of [
          [2, 'rsa-sha2-256', 'sha256'],
          [4, 'rsa-sha2-512', 'sha512'],
        ] as const) {
          const made = await signature(agent, blob, flags);
          assert.deepEqual([made.algorithm, verify(hash, data, publicKey, made.bytes)], [name, true]);
        }
      } else {
        const [size, hash] = { 'P-256': [32, 'sha256'] as const, 'P-384': [48, 'sha384'] as const }[kind] ?? ([66, 'sha512'] as const);
        assert.ok(verify(hash, data, { key: publicKey, dsaEncoding: 'ieee-p1363' }, plainSignature(bytes, size)), kind);
      }
    }
  });
});

test('what cannot be used is refused by name, and nothing of the file is told', async () => {
  await withFolder((folder) => {
    const key = pair('ed25519');
    const texts: Readonly<Record<string, readonly [code: string, text: string]>> = {
      locked: ['ssh/encrypted-key', openSsh(key, 'aes256-ctr')],
      'locked-pem': ['ssh/encrypted-key', String(key.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'p' }))],
      'locked-old': [
        'ssh/encrypted-key',
        '-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nhunter2\n-----END RSA PRIVATE KEY-----\n',
      ],
      text: ['ssh/bad-key', 'hunter2'],
      empty: ['ssh/bad-key', ''],
      cut: ['ssh/bad-key', '-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA\n-----END OPENSSH PRIVATE KEY-----\n'],
      x448: ['ssh/bad-key', String(generateKeyPairSync('ed448').privateKey.export({ type: 'pkcs8', format: 'pem' }))],
      curve: ['ssh/bad-key', String(pair('secp256k1').export({ type: 'pkcs8', format: 'pem' }))],
    };
    for (const [name, [code, text]] of Object.entries(texts)) {
      writeFileSync(join(folder, name), text);
      assert.throws(
        () => openSshAgent('x', [join(folder, name)]),
        (error) => isCode(error, code) && error.message.includes(`/${name}"`) && !/hunter2/u.test(`${error.message}${error.stack}`),
        name,
      );
    }
    mkdirSync(join(folder, 'sub'));
    assert.throws(() => openSshAgent('x', [join(folder, 'sub')]), { code: 'ssh/bad-key' });
    execFileSync('mkfifo', [join(folder, 'pipe')]);
    assert.throws(() => openSshAgent('x', [join(folder, 'pipe')]), { code: 'ssh/bad-key' });
    assert.throws(() => openSshAgent('x', [join(folder, 'none')]), { code: 'ssh/not-found' });
  });
});

test('hostile requests to keys are refused', async () => {
  await withFolder(async (folder) => {
    writeFileSync(join(folder, 'k'), openSsh(pair('ed25519')));
    const agent = openSshAgent('x', [join(folder, 'k')]);
    const [blob] = await identities(agent);
    assert.ok(blob);
    const sign = signRequest(blob, 0);
    const requests = [
      [],
      [11, 0],
      [17],
      [13],
      [13, 255, 255, 255, 255],
      sign.subarray(0, -1),
      signRequest(blob.subarray(1), 0),
      ...Array.from({ length: sign.length - 1 }, (_, length) => sign.subarray(0, length + 1)),
    ];
    for (const request of requests) assert.deepEqual(await agent.answer(Uint8Array.from(request), never), new Uint8Array([5]));
  });
});

test('only questions for identities and signatures reach an agent, and only their answers come back', async () => {
  await withFolder(async (folder) => {
    const seen: number[] = [];
    let reply = new Uint8Array([12, 0, 0, 0, 0]);
    const path = join(folder, 'socket');
    await using server = await serveFrames({ folder, name: 'socket' }, async (request) => {
      seen.push(request[0] ?? -1);
      return await Promise.resolve(reply);
    });
    const agent = openSshAgent('x', [path]);
    assert.throws(() => openSshAgent('x', [path, path]), { code: 'ssh/mixed' });
    writeFileSync(join(folder, 'k'), openSsh(pair('ed25519')));
    assert.throws(() => openSshAgent('x', [join(folder, 'k'), path]), { code: 'ssh/mixed' });
    for (let type = 0; type < 256; type++) {
      const answer = await agent.answer(new Uint8Array([type]), never);
      assert.deepEqual([...answer], type === 11 ? [...reply] : [5], String(type));
    }
    assert.deepEqual(seen, [11, 13]);
    reply = new Uint8Array([99, 1, 2]);
    assert.deepEqual(await agent.answer(new Uint8Array([11]), never), new Uint8Array([5]));
    assert.ok(server);
  });
});

test('an agent that is gone refuses', async () => {
  await withFolder(async (folder) => {
    const server = await serveFrames({ folder, name: 'socket' }, async (request) => await Promise.resolve(request));
    const agent = openSshAgent('x', [join(folder, 'socket')]);
    await server[Symbol.asyncDispose]();
    assert.deepEqual(await agent.answer(new Uint8Array([11]), never), new Uint8Array([5]));
  });
});
