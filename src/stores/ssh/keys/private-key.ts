/** Private keys from files: OpenSSH's own format (PROTOCOL.key of OpenSSH), PKCS#1, PKCS#8 and SEC 1 in PEM. Ed25519, ECDSA on the three NIST curves, RSA. */
import { createPrivateKey, sign, type JsonWebKey, type KeyObject } from 'node:crypto';
import { fromBase64 } from '#ground/base/bytes.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { fromBase64Url, join, mpint, readWire, string, toBase64Url, withoutZeros, type WireReader } from './wire.ts';

export type PrivateKey = {
  /** The public key as SSH writes it (RFC 4253, section 6.6). */
  readonly blob: Uint8Array;
  /** A signature as SSH writes it; `flags` as in an agent's sign request. */
  sign(data: Uint8Array, flags: number): Uint8Array;
};

/** SSH_AGENT_RSA_SHA2_256 and _512 (draft-miller-ssh-agent, section 5.3). */
const rsaFlags = { sha256: 2, sha512: 4 } as const;

const curves: Readonly<Record<string, { readonly name: string; readonly hash: string }>> = {
  'P-256': { name: 'nistp256', hash: 'sha256' },
  'P-384': { name: 'nistp384', hash: 'sha384' },
  'P-521': { name: 'nistp521', hash: 'sha512' },
};

/** `path` is for messages only. Throws `ssh/encrypted-key`, `ssh/bad-key`. */
export function parsePrivateKey(text: string, path: string): PrivateKey {
  const own = /-----BEGIN OPENSSH PRIVATE KEY-----([A-Za-z0-9+/=\s]+)-----END OPENSSH PRIVATE KEY-----/u.exec(text)?.[1];
  if (own === undefined && /^-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/mu.test(text)) throw encrypted(path);
  try {
    return describe(own === undefined ? createPrivateKey(text) : readOpenSsh(fromBase64(own), path), path);
  } catch (error) {
    if (error instanceof JettisonError) throw error;
    // What the library says may quote the file.
    throw badKey(path, 'it holds no private key that can be read');
  }
}

function readOpenSsh(data: Uint8Array, path: string): KeyObject {
  const reader = readWire(data);
  const magic = new TextDecoder().decode(reader.raw(15));
  const cipher = reader.text();
  reader.bytes(); // the name of the key derivation
  reader.bytes(); // its options
  const count = reader.u32();
  reader.bytes(); // the public key
  if (magic !== 'openssh-key-v1\0') throw badKey(path, 'it is in no version of the format that is known');
  if (cipher !== 'none') throw encrypted(path);
  if (count !== 1) throw badKey(path, `it holds ${count} keys`);
  const inner = readWire(reader.bytes());
  if (inner.u32() !== inner.u32()) throw badKey(path, 'it is damaged');
  return createPrivateKey({ key: readJwk(inner, path), format: 'jwk' });
}

/** The private part of one key, as OpenSSH orders its numbers. */
function readJwk(reader: WireReader, path: string): JsonWebKey {
  const type = reader.text();
  switch (type) {
    case 'ssh-ed25519': {
      const x = reader.bytes();
      return { kty: 'OKP', crv: 'Ed25519', x: toBase64Url(x), d: toBase64Url(reader.bytes().subarray(0, 32)) };
    }
    case 'ecdsa-sha2-nistp256':
    case 'ecdsa-sha2-nistp384':
    case 'ecdsa-sha2-nistp521': {
      const [crv = ''] = Object.entries(curves).find(([, { name }]) => type.endsWith(name)) ?? [];
      reader.bytes(); // the curve's name
      const point = reader.bytes();
      const size = (point.length - 1) / 2;
      const d = withoutZeros(reader.bytes());
      return {
        kty: 'EC',
        crv,
        x: toBase64Url(point.subarray(1, 1 + size)),
        y: toBase64Url(point.subarray(1 + size)),
        d: toBase64Url(join(new Uint8Array(size - d.length), d)),
      };
    }
    case 'ssh-rsa': {
      const [n, e, d, qi, p, q] = [reader.bytes(), reader.bytes(), reader.bytes(), reader.bytes(), reader.bytes(), reader.bytes()];
      const numbers = { n, e, d, p, q, dp: remainder(d, p), dq: remainder(d, q), qi };
      return {
        kty: 'RSA',
        ...Object.fromEntries(Object.entries(numbers).map(([name, value]) => [name, toBase64Url(withoutZeros(value))])),
      };
    }
    default:
      throw unknownType(path, type);
  }
}

/** `d` modulo `prime - 1`, which OpenSSH leaves out. */
function remainder(d: Uint8Array, prime: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(prime.length);
  let left = numberOf(d) % (numberOf(prime) - 1n);
  for (let at = bytes.length - 1; at >= 0; at--, left >>= 8n) bytes[at] = Number(left & 0xffn);
  return bytes;
}

function numberOf(bytes: Uint8Array): bigint {
  return bytes.reduce((number, byte) => (number << 8n) | BigInt(byte), 0n);
}

function describe(key: KeyObject, path: string): PrivateKey {
  const type = key.asymmetricKeyType;
  if (type !== 'ed25519' && type !== 'ec' && type !== 'rsa') throw unknownType(path, type ?? 'unknown');
  const jwk = key.export({ format: 'jwk' });
  if (type === 'ed25519') {
    return {
      blob: join(string('ssh-ed25519'), string(part(jwk.x))),
      sign: (data) => join(string('ssh-ed25519'), string(sign(null, data, key))),
    };
  }
  if (type === 'rsa') return { blob: join(string('ssh-rsa'), mpint(part(jwk.e)), mpint(part(jwk.n))), sign: rsaSigner(key) };
  const curve = curves[jwk.crv ?? ''];
  if (curve === undefined) throw unknownType(path, `ec ${jwk.crv ?? ''}`);
  const algorithm = `ecdsa-sha2-${curve.name}`;
  return {
    blob: join(string(algorithm), string(curve.name), string(join(new Uint8Array([4]), part(jwk.x), part(jwk.y)))),
    sign: (data) => {
      const both = sign(curve.hash, data, { key, dsaEncoding: 'ieee-p1363' });
      const half = both.length / 2;
      return join(string(algorithm), string(join(mpint(both.subarray(0, half)), mpint(both.subarray(half)))));
    },
  };
}

/** RFC 8332; without a flag the old SHA-1, which only old servers still take. */
function rsaSigner(key: KeyObject): PrivateKey['sign'] {
  return (data, flags) => {
    if ((flags & rsaFlags.sha512) !== 0) return join(string('rsa-sha2-512'), string(sign('sha512', data, key)));
    if ((flags & rsaFlags.sha256) !== 0) return join(string('rsa-sha2-256'), string(sign('sha256', data, key)));
    return join(string('ssh-rsa'), string(sign('sha1', data, key)));
  };
}

/** One number of a JSON web key. */
function part(value: string | undefined): Uint8Array {
  return fromBase64Url(value ?? '');
}

function encrypted(path: string): JettisonError {
  return new JettisonError('ssh/encrypted-key', `The key "${path}" is protected by a passphrase`, {
    hint: `Give it to an ssh-agent ("ssh-add ${path}") and that agent to the build ("--ssh default")`,
  });
}

function unknownType(path: string, type: string): JettisonError {
  return badKey(path, `its type "${type.slice(0, 60)}" is not supported`, 'Keys are ed25519, ecdsa or rsa; give any other to an ssh-agent');
}

function badKey(path: string, why: string, hint = 'Name a private key file, or the socket of an ssh-agent'): JettisonError {
  return new JettisonError('ssh/bad-key', `Cannot use the key "${path}": ${why}`, { hint });
}
