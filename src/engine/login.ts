/** `jettison login` and `logout`. Neither opens the store. */
import { createRegistryClient } from '#stores/registry/client.ts';
import { createCredentials, type Credential } from '#stores/registry/credentials.ts';
import { hostOfServer, keyOfHost } from '#stores/registry/docker-config.ts';
import { eraseCredential, keepCredential, type KeptIn } from '#stores/registry/keep-credentials.ts';
import { readConfig } from './config.ts';
import { findPaths } from './paths.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export type LoginRequest = {
  /** A host, perhaps with a port or as a URL; empty for Docker Hub. */
  readonly server: string;
  readonly username: string;
  readonly password: string;
};

/** Shows the credentials to the registry and keeps them when it takes them. Throws `registry/...`, `engine/bad-config`. */
export async function logIn(request: LoginRequest, environment: Environment, signal: AbortSignal): Promise<KeptIn> {
  const host = hostOfServer(request.server);
  const credential = { kind: 'password', username: request.username, password: request.password } as const;
  await check(host, credential, environment, signal);
  return await keepCredential(host, credential, environment, signal);
}

/** Shows the registry what is kept of it already. Gives the user's name (none for a token), or undefined when nothing is kept. Throws as `logIn`. */
export async function logInAgain(
  server: string,
  environment: Environment,
  signal: AbortSignal,
): Promise<{ readonly username: string | undefined } | undefined> {
  const host = hostOfServer(server);
  const credential = await createCredentials({ environment })(host, signal);
  if (credential === undefined) return undefined;
  await check(host, credential, environment, signal);
  return { username: credential.kind === 'password' ? credential.username : undefined };
}

async function check(host: string, credential: Credential, environment: Environment, signal: AbortSignal): Promise<void> {
  const config = readConfig(findPaths(environment).config);
  using client = createRegistryClient({
    config: config.registries,
    findCredential: async () => await Promise.resolve(credential),
    environment,
    timing: config.network,
    onWait: () => {},
  });
  await client.ping(host, signal);
}

/** Forgets what is kept of a registry. Gives what it was kept under, and whether there was something. */
export async function logOut(
  server: string,
  environment: Environment,
  signal: AbortSignal,
): Promise<{ readonly key: string; readonly wasKnown: boolean }> {
  const host = hostOfServer(server);
  return { key: keyOfHost(host), wasKnown: await eraseCredential(host, environment, signal) };
}
