/** Credentials go where docker looks for them: to the helper that its `config.json` names, else into the file. */
import type { Credential } from './credentials.ts';
import { callHelper } from './credential-helper.ts';
import {
  dockerConfigFile,
  helperFor,
  keyOfHost,
  meansHost,
  readDockerConfig,
  writeDockerConfig,
  type DockerConfig,
  type Environment,
} from './docker-config.ts';

type Password = Extract<Credential, { readonly kind: 'password' }>;
export type KeptIn = { readonly kind: 'helper'; readonly name: string } | { readonly kind: 'file'; readonly file: string };

/** Members that the file has beside the credentials stay. Throws `registry/bad-docker-config`, `registry/credential-helper`. */
export async function keepCredential(
  host: string,
  { username, password }: Password,
  environment: Environment,
  signal: AbortSignal,
): Promise<KeptIn> {
  const file = dockerConfigFile(environment);
  const config = readDockerConfig(file);
  const name = helperFor(config, host);
  const key = keyOfHost(host);
  if (name === undefined) {
    const bytes = new TextEncoder().encode(`${username}:${password}`);
    const auth = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));
    writeDockerConfig(file, { ...config, auths: { ...withoutHost(config, host), [key]: { auth } } });
    return { kind: 'file', file };
  }
  const input = JSON.stringify({ ServerURL: key, Username: username, Secret: password });
  await callHelper({ name, action: 'store', input, environment }, signal);
  // An entry without a secret says that somebody is logged in there, and leaves none of an earlier time.
  writeDockerConfig(file, { ...config, auths: { ...withoutHost(config, host), [key]: {} } });
  return { kind: 'helper', name };
}

/** Forgets what is kept of a host, in the helper and in the file, under all names that it may have there. Gives whether there was something. */
export async function eraseCredential(host: string, environment: Environment, signal: AbortSignal): Promise<boolean> {
  const file = dockerConfigFile(environment);
  const config = readDockerConfig(file);
  const name = helperFor(config, host);
  const erased =
    name === undefined ? undefined : await callHelper({ name, action: 'erase', input: `${keyOfHost(host)}\n`, environment }, signal);
  const rest = withoutHost(config, host);
  const isKnown = Object.keys(rest).length < Object.keys(config.auths ?? {}).length;
  if (isKnown) writeDockerConfig(file, { ...config, auths: rest });
  return isKnown || erased !== undefined;
}

function withoutHost({ auths = {} }: DockerConfig, host: string): NonNullable<DockerConfig['auths']> {
  return Object.fromEntries(Object.entries(auths).filter(([key]) => !meansHost(key, host)));
}
