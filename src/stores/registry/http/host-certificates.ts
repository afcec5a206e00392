/**
 * What a host is trusted by, and what it is shown, beyond the usual: `certs.d/HOST[:PORT]` of docker and of containers-certs.d(5). `*.crt` are authorities, `NAME.cert` with
 * `NAME.key` a certificate of ours.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { messageOf, systemCode } from '#ground/base/errors.ts';
import { registryError } from '../errors.ts';

export type HostCertificates = {
  readonly folder: string;
  /** PEM. */
  readonly authorities: readonly string[];
  readonly own: { readonly certificate: string; readonly key: string } | undefined;
};

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Of the first folder that there is for `host` (as in a URL of https: without a port where it is the usual one) where this user may look: the user's own before the
 * machine's. Undefined for none. Throws `registry/bad-certificates`.
 */
export function readHostCertificates(host: string, environment: Environment): HostCertificates | undefined {
  for (const place of places(environment)) {
    for (const name of spellings(host)) {
      const folder = join(place, name);
      const names = namesIn(folder);
      if (names !== undefined) return read(folder, names);
    }
  }
  return undefined;
}

/** Docker and Podman look for what stands in the reference, with `:443` or without; a URL does not say which of the two it was. */
function spellings(host: string): readonly string[] {
  return /:\d+$/u.test(host) ? [host] : [host, `${host}:443`];
}

function places(environment: Environment): readonly string[] {
  const settings = environment['XDG_CONFIG_HOME'] || join(environment['HOME'] || homedir(), '.config');
  return [...['docker', 'containers'].map((name) => join(settings, name, 'certs.d')), '/etc/docker/certs.d', '/etc/containers/certs.d'];
}

function namesIn(folder: string): readonly string[] | undefined {
  try {
    return readdirSync(folder).toSorted();
  } catch (error) {
    const code = systemCode(error);
    // /etc/docker is often for root alone: what is there is for root's registries.
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'EACCES') return undefined;
    throw badCertificates(folder, messageOf(error), error);
  }
}

function read(folder: string, names: readonly string[]): HostCertificates {
  const text = (name: string): string => {
    try {
      return readFileSync(join(folder, name), 'utf8');
    } catch (error) {
      throw badCertificates(folder, messageOf(error), error);
    }
  };
  const pairs = names.filter((name) => name.endsWith('.cert')).map((name) => ({ name, key: `${name.slice(0, -'.cert'.length)}.key` }));
  const halved = pairs.find(({ key }) => !names.includes(key));
  if (halved !== undefined) throw badCertificates(folder, `"${halved.name}" is there without its key, "${halved.key}"`);
  const [pair] = pairs;
  return {
    folder,
    authorities: names.filter((name) => name.endsWith('.crt')).map(text),
    own: pair && { certificate: text(pair.name), key: text(pair.key) },
  };
}

/** `registry/bad-certificates` */
export function badCertificates(folder: string, why: string, cause?: unknown): Error {
  return registryError('bad-certificates', `Cannot use the certificates in "${folder}": ${why}`, {
    fault: 'user',
    cause,
    hint: 'Files in PEM form are read there: authorities from "*.crt", a certificate of yours from "client.cert" with "client.key"',
  });
}
