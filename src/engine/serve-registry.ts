/** `registry serve`: what a request for it needs, read and refused before anything listens. */
import { join, resolve } from 'node:path';
import { orAborted } from '#ground/base/abort.ts';
import { JettisonError, systemCode } from '#ground/base/errors.ts';
import { readAtMost } from '#ground/base/read-at-most.ts';
import { isLoopback, parseAddress, printAddress } from '#stores/distribution/address.ts';
import { serveRegistry, type Serving } from '#stores/distribution/serve.ts';
import type { Users } from '#stores/distribution/users.ts';
import { findPaths } from './paths.ts';

/** Paths are those of the command line. */
export type RegistryRequest = {
  readonly listen: string;
  readonly folder: string | undefined;
  readonly tlsCert: string | undefined;
  readonly tlsKey: string | undefined;
  readonly htpasswd: string | undefined;
};

export type ListeningRegistry = {
  /** `http://127.0.0.1:5000` */
  readonly url: string;
  /** What stands before the names of its images. */
  readonly host: string;
  readonly folder: string;
  readonly notes: readonly string[];
};

type Around = { readonly environment: Readonly<Record<string, string | undefined>>; readonly currentFolder: string };

const longestFile = 1 << 20;

/**
 * Serves until `signal` aborts, which is how it ends well. Throws `engine/not-loopback`, `engine/tls-pair`, `engine/bad-registry-file`, and what
 * `serveRegistry` throws.
 */
export async function keepRegistry(
  request: RegistryRequest,
  around: Around,
  ready: (registry: ListeningRegistry) => void,
  signal: AbortSignal,
): Promise<void> {
  const serving = await readRequest(request, around);
  await using running = await serveRegistry(serving);
  const host = printAddress({ ...serving.address, port: running.port });
  ready({ url: `${serving.tls === undefined ? 'http' : 'https'}://${host}`, host, folder: serving.folder, notes: running.notes });
  try {
    await orAborted(running.failed, signal);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

async function readRequest({ listen, folder, tlsCert, tlsKey, htpasswd }: RegistryRequest, around: Around): Promise<Serving> {
  const address = parseAddress(listen);
  if ((tlsCert === undefined) !== (tlsKey === undefined)) {
    throw new JettisonError('engine/tls-pair', '--tls-cert and --tls-key are two halves of one thing', { hint: 'Give both, or none' });
  }
  if (tlsCert === undefined && !isLoopback(address.host)) {
    throw new JettisonError(
      'engine/not-loopback',
      `Refusing plain HTTP on "${address.host}": others could read and change what is pushed`,
      {
        hint: 'Give --tls-cert and --tls-key, or listen on 127.0.0.1',
      },
    );
  }
  const read = (path: string): Uint8Array => readSmall(resolve(around.currentFolder, path));
  return {
    address,
    folder: folder === undefined ? join(findPaths(around.environment).store, 'registry') : resolve(around.currentFolder, folder),
    tls: tlsCert === undefined || tlsKey === undefined ? undefined : { cert: read(tlsCert), key: read(tlsKey) },
    users: htpasswd === undefined ? undefined : await usersOf(read(htpasswd), htpasswd),
  };
}

/** Loaded, and bcrypt with it, where there are users. */
async function usersOf(bytes: Uint8Array, name: string): Promise<Users> {
  const { readUsers } = await import('#stores/distribution/users.ts');
  return readUsers(new TextDecoder().decode(bytes), name);
}

function readSmall(path: string): Uint8Array {
  let bytes: Uint8Array | undefined;
  try {
    bytes = readAtMost(path, longestFile);
  } catch (error) {
    throw cannotRead(path, systemCode(error) ?? String(error), error);
  }
  if (bytes === undefined) throw cannotRead(path, 'it is longer than 1 MiB');
  return bytes;
}

function cannotRead(path: string, why: string, cause?: unknown): JettisonError {
  return new JettisonError('engine/bad-registry-file', `Cannot read "${path}": ${why}`, { cause });
}
