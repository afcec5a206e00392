/** Credentials as the docker CLI keeps them: `config.json` with `auths`, `credHelpers` and `credsStore`. */
import * as v from 'valibot';
import { checkShape, parseJson, type Document } from '#ground/base/decode.ts';
import { readNamedAuth, readUsualAuth } from './containers-auth.ts';
import { callHelper, helperHint } from './credential-helper.ts';
import {
  badDockerConfig,
  dockerConfigFile,
  entryFor,
  helperFor,
  keyOfHost,
  readDockerConfig,
  type DockerConfig,
  type DockerConfigEntry,
  type Environment,
} from './docker-config.ts';

export type Credential =
  | { readonly kind: 'password'; readonly username: string; readonly password: string }
  /** An OAuth2 refresh token, to be changed for access tokens. */
  | { readonly kind: 'identity-token'; readonly token: string }
  /** A bearer token used as it is. */
  | { readonly kind: 'registry-token'; readonly token: string };

/** Looks up what to show to a host; undefined: go without. */
export type FindCredential = (host: string, signal: AbortSignal) => Promise<Credential | undefined>;

export type CredentialOptions = {
  /** Where DOCKER_CONFIG is looked up; helpers get it, too, and are found in its PATH. */
  readonly environment: Environment;
};

const answerLimit = 1 << 20;
const answerSchema = v.looseObject({ Username: v.string(), Secret: v.string() });

/** Reads docker's `config.json` (in DOCKER_CONFIG or ~/.docker), then Podman's `auth.json` (REGISTRY_AUTH_FILE before both), when they are first needed; a helper is asked once for each host. Throws `registry/bad-docker-config`, `registry/credential-helper`, `registry/no-credential-helper`. */
export function createCredentials(options: CredentialOptions): FindCredential {
  const found = new Map<string, Promise<Credential | undefined>>();
  let configs: readonly DockerConfig[] | undefined;
  return async (host, signal) => {
    configs ??= readConfigs(options.environment);
    const current = configs;
    const known = found.get(host);
    if (known) return await known;
    const search = findFirst(current, host, options.environment, signal);
    found.set(host, search);
    search.catch(() => found.delete(host));
    return await search;
  };
}

/** Best first. */
function readConfigs(environment: Environment): readonly DockerConfig[] {
  const named = readNamedAuth(environment);
  const docker = readDockerConfig(dockerConfigFile(environment));
  return named === undefined ? [docker, ...readUsualAuth(environment)] : [named, docker];
}

async function findFirst(
  configs: readonly DockerConfig[],
  host: string,
  environment: Environment,
  signal: AbortSignal,
): Promise<Credential | undefined> {
  for (const config of configs) {
    const found = await findIn(config, host, environment, signal);
    if (found !== undefined) return found;
  }
  return undefined;
}

async function findIn(config: DockerConfig, host: string, environment: Environment, signal: AbortSignal): Promise<Credential | undefined> {
  const helper = helperFor(config, host);
  const fromHelper = helper === undefined ? undefined : await askHelper(helper, keyOfHost(host), environment, signal);
  if (fromHelper) return fromHelper;
  const entry = entryFor(config.auths ?? {}, host);
  return entry && readEntry(entry, host);
}

function readEntry(entry: DockerConfigEntry, host: string): Credential | undefined {
  if (entry.identitytoken) return { kind: 'identity-token', token: entry.identitytoken };
  if (entry.registrytoken) return { kind: 'registry-token', token: entry.registrytoken };
  if (entry.auth) {
    const plain = new TextDecoder().decode(Uint8Array.from(decodeBase64(entry.auth, host)));
    const colon = plain.indexOf(':');
    if (colon <= 0) throw badDockerConfig(`the entry of "${host}" is not user:password`);
    return { kind: 'password', username: plain.slice(0, colon), password: plain.slice(colon + 1).replace(/\0+$/u, '') };
  }
  if (entry.username !== undefined && entry.password !== undefined) {
    return { kind: 'password', username: entry.username, password: entry.password };
  }
  return undefined;
}

function decodeBase64(text: string, host: string): Iterable<number> {
  try {
    return Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch {
    throw badDockerConfig(`the entry of "${host}" is not base64`);
  }
}

async function askHelper(name: string, key: string, environment: Environment, signal: AbortSignal): Promise<Credential | undefined> {
  const answer = await callHelper({ name, action: 'get', input: `${key}\n`, environment }, signal);
  if (answer === undefined) return undefined;
  const document: Document = {
    what: `the answer of docker-credential-${name}`,
    code: 'registry/credential-helper',
    limit: answerLimit,
    hint: helperHint(name, environment),
  };
  const { Username, Secret } = checkShape(parseJson(answer, document), answerSchema, document);
  if (Username === '' && Secret === '') return undefined;
  return Username === '<token>' ? { kind: 'identity-token', token: Secret } : { kind: 'password', username: Username, password: Secret };
}
