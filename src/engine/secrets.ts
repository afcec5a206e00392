/** Secrets of one build: read once, and handed to the steps that name them. What keeps them out of all else is `secret-guard.ts`. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import type { Op } from '#formats/graph/op.ts';
import { JettisonError, messageOf, systemCode } from '#ground/base/errors.ts';
import type { BuildRequest, SecretRequest } from './build-requests.ts';

export type Secrets = ReadonlyMap<string, Uint8Array>;

/** BuildKit's limit. */
const longestSecret = 500 * 1024;

/** Throws `engine/bad-secret`; the value is never part of a message. */
export function readSecrets(requests: ReadonlyMap<string, SecretRequest>): Secrets {
  return new Map(
    [...requests].map(
      ([id, request]) => [id, request.kind === 'value' ? checked(id, request.value) : readSecretFile(id, request.path)] as const,
    ),
  );
}

/** Those that the mounts of an op name. */
export function secretsFor(op: Op, secrets: Secrets): Secrets {
  if (op.kind !== 'exec') return new Map();
  const found = new Map<string, Uint8Array>();
  for (const mount of op.mounts) {
    const value = mount.kind === 'secret' ? secrets.get(mount.id) : undefined;
    if (mount.kind === 'secret' && value !== undefined) found.set(mount.id, value);
  }
  return found;
}

/** Throws `engine/missing-secret`. */
export function requireSecrets(op: Op, secrets: Secrets): void {
  for (const mount of op.kind === 'exec' ? op.mounts : []) {
    if (mount.kind !== 'secret' || !mount.required || secrets.has(mount.id)) continue;
    throw new JettisonError('engine/missing-secret', `Secret "${mount.id}" is required, but was not given`, {
      hint: `Give it: --secret id=${mount.id},src=FILE or --secret id=${mount.id},env=VARIABLE`,
    });
  }
}

/** Throws `engine/unknown-secret` for an id of `--allow-secret-in-image` that names nothing. */
export function requireKnown(ids: readonly string[], { secrets, ssh }: Pick<BuildRequest, 'secrets' | 'ssh'>): void {
  for (const id of ids) {
    const [kind, rest] = splitOnce(id);
    const isKnown = secrets.has(id) || kind === 'registry' || (kind === 'ssh' && rest !== undefined && ssh.has(rest));
    if (isKnown) continue;
    throw new JettisonError('engine/unknown-secret', `--allow-secret-in-image names "${id}", but this build has no such secret`, {
      hint: 'Give the id of a --secret, "ssh:ID" of an --ssh, or "registry:HOST"',
    });
  }
}

function splitOnce(id: string): readonly [string, string | undefined] {
  const colon = id.indexOf(':');
  return colon < 0 ? [id, undefined] : [id.slice(0, colon), id.slice(colon + 1)];
}

function checked(id: string, value: Uint8Array): Uint8Array {
  if (value.length > longestSecret) throw badSecret(id, `its variable has more than ${longestSecret} bytes`);
  return value;
}

function readSecretFile(id: string, path: string): Uint8Array {
  let file: number | undefined;
  try {
    file = openSync(path, 'r');
    if (fstatSync(file).isDirectory()) throw badSecret(id, `${path} is a folder`);
    const bytes = new Uint8Array(longestSecret + 1);
    let length = 0;
    for (let count = -1; count !== 0 && length < bytes.length; length += count)
      count = readSync(file, bytes, length, bytes.length - length, null);
    if (length > longestSecret) throw badSecret(id, `${path} has more than ${longestSecret} bytes`);
    return bytes.slice(0, length);
  } catch (error) {
    throw error instanceof JettisonError || systemCode(error) === undefined ? error : badSecret(id, messageOf(error));
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

function badSecret(id: string, why: string): JettisonError {
  return new JettisonError('engine/bad-secret', `Cannot read the secret "${id}": ${why}`, {
    hint: 'Give it as --secret id=NAME,src=FILE or --secret id=NAME,env=VARIABLE',
  });
}
