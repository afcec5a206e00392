/** Credentials as the docker CLI keeps them: `config.json` with `auths`, `credHelpers` and `credsStore`. */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import * as v from 'valibot';
import { checkShape, parseJson, type Document } from '#ground/base/decode.ts';
import { systemCode, type JettisonError } from '#ground/base/errors.ts';
import { runProcess } from '#ground/linux/spawn.ts';
import { registryError } from './errors.ts';

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
  readonly environment: Readonly<Record<string, string | undefined>>;
};

type Environment = CredentialOptions['environment'];

const hubHosts: ReadonlySet<string> = new Set(['docker.io', 'index.docker.io', 'registry-1.docker.io']);
const helperLimit = 1 << 20;
const hubKey = 'https://index.docker.io/v1/';

const entrySchema = v.looseObject({
  auth: v.exactOptional(v.string()),
  username: v.exactOptional(v.string()),
  password: v.exactOptional(v.string()),
  identitytoken: v.exactOptional(v.string()),
  registrytoken: v.exactOptional(v.string()),
});
const fileSchema = v.looseObject({
  auths: v.exactOptional(v.record(v.string(), entrySchema)),
  credsStore: v.exactOptional(v.string()),
  credHelpers: v.exactOptional(v.record(v.string(), v.string())),
});
const answerSchema = v.looseObject({ Username: v.string(), Secret: v.string() });

type DockerConfig = v.InferInput<typeof fileSchema>;

/** Reads docker's `config.json` (in DOCKER_CONFIG or ~/.docker) when it is first needed; a helper is asked once for each host. Throws `registry/bad-docker-config`, `registry/credential-helper`, `linux/no-such-command`. */
export function createCredentials(options: CredentialOptions): FindCredential {
  const found = new Map<string, Promise<Credential | undefined>>();
  let config: DockerConfig | undefined;
  return async (host, signal) => {
    config ??= readDockerConfig(join(options.environment['DOCKER_CONFIG'] || join(homedir(), '.docker'), 'config.json'));
    const current = config;
    const known = found.get(host);
    if (known) return await known;
    const search = findIn(current, host, options.environment, signal);
    found.set(host, search);
    search.catch(() => found.delete(host));
    return await search;
  };
}

async function findIn(config: DockerConfig, host: string, environment: Environment, signal: AbortSignal): Promise<Credential | undefined> {
  const helper = entryFor(config.credHelpers ?? {}, host) ?? (config.credsStore === '' ? undefined : config.credsStore);
  const fromHelper = helper === undefined ? undefined : await askHelper(helper, hubHosts.has(host) ? hubKey : host, environment, signal);
  if (fromHelper) return fromHelper;
  const entry = entryFor(config.auths ?? {}, host);
  return entry && readEntry(entry, host);
}

/** Keys are hosts or, in old files, URLs: `https://reg.example/v1/`. */
function entryFor<T>(entries: Readonly<Record<string, T>>, host: string): T | undefined {
  const isHub = hubHosts.has(host);
  let loose: T | undefined;
  for (const [key, entry] of Object.entries(entries)) {
    if (key === host || (isHub && key === hubKey)) return entry;
    const bare = key.replace(/^https?:\/\//u, '').replace(/\/.*$/u, '');
    if (bare === host || (isHub && hubHosts.has(bare))) loose ??= entry;
  }
  return loose;
}

function readEntry(entry: v.InferInput<typeof entrySchema>, host: string): Credential | undefined {
  if (entry.identitytoken) return { kind: 'identity-token', token: entry.identitytoken };
  if (entry.registrytoken) return { kind: 'registry-token', token: entry.registrytoken };
  if (entry.auth) {
    const plain = new TextDecoder().decode(Uint8Array.from(decodeBase64(entry.auth, host)));
    const colon = plain.indexOf(':');
    if (colon <= 0) throw badConfig(`the entry of "${host}" is not user:password`);
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
    throw badConfig(`the entry of "${host}" is not base64`);
  }
}

async function askHelper(name: string, key: string, environment: Environment, signal: AbortSignal): Promise<Credential | undefined> {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/u.test(name)) throw badConfig(`"${name}" is no name of a credential helper`);
  const command = `docker-credential-${name}`;
  const exit = await runProcess(
    {
      command,
      arguments: ['get'],
      input: new TextEncoder().encode(`${key}\n`),
      environment: definedOnly(environment),
      captureLimit: helperLimit,
    },
    signal,
  );
  const stdout = new TextDecoder().decode(exit.stdout).trim();
  if (exit.code !== 0) {
    if (/credentials not found/iu.test(stdout)) return undefined;
    const why = stdout.slice(0, 300) || `it ended with ${exit.code ?? exit.signal}`;
    throw registryError('credential-helper', `Cannot get credentials for "${key}" from ${command}: ${why}`, { fault: 'user' });
  }
  const document: Document = { what: `the answer of ${command}`, code: 'registry/credential-helper', limit: helperLimit };
  const { Username, Secret } = checkShape(parseJson(exit.stdout, document), answerSchema, document);
  if (Username === '' && Secret === '') return undefined;
  return Username === '<token>' ? { kind: 'identity-token', token: Secret } : { kind: 'password', username: Username, password: Secret };
}

function definedOnly(environment: Environment): Record<string, string> {
  return Object.fromEntries(Object.entries(environment).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
}

function readDockerConfig(file: string): DockerConfig {
  const document: Document = { what: `"${file}"`, code: 'registry/bad-docker-config', limit: 4 << 20 };
  try {
    return checkShape(parseJson(readFileSync(file), document), fileSchema, document);
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return {};
    throw error;
  }
}

function badConfig(why: string): JettisonError {
  return registryError('bad-docker-config', `Cannot use docker's config.json: ${why}`, { fault: 'user' });
}
