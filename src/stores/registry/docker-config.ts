/** Docker's `config.json` as far as credentials go: `auths`, `credHelpers`, `credsStore`, and the programs that the latter two name. */
import { closeSync, fsyncSync, openSync, readFileSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import * as v from 'valibot';
import { checkShape, parseJson, type Document } from '#ground/base/decode.ts';
import { fullDisk, isCode, messageOf, systemCode, type JettisonError } from '#ground/base/errors.ts';
import { makeFolders } from '#ground/base/make-folders.ts';
import { runProcess } from '#ground/linux/spawn.ts';
import { registryError } from './errors.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

const hubHosts: ReadonlySet<string> = new Set(['docker.io', 'index.docker.io', 'registry-1.docker.io']);
/** Under this key docker keeps what it knows of Docker Hub. */
export const hubKey = 'https://index.docker.io/v1/';
const fileLimit = 4 << 20;
const helperLimit = 1 << 20;

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

export type DockerConfig = v.InferInput<typeof fileSchema>;
export type DockerConfigEntry = v.InferInput<typeof entrySchema>;

/** In DOCKER_CONFIG, else in ~/.docker. */
export function dockerConfigFile(environment: Environment): string {
  return join(environment['DOCKER_CONFIG'] || join(environment['HOME'] || homedir(), '.docker'), 'config.json');
}

/** Empty where there is no file. Throws `registry/bad-docker-config`. */
export function readDockerConfig(file: string): DockerConfig {
  const document: Document = { what: `"${file}"`, code: 'registry/bad-docker-config', limit: fileLimit };
  try {
    return checkShape(parseJson(readFileSync(file), document), fileSchema, document);
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return {};
    throw code === undefined ? error : badDockerConfig(messageOf(error), error);
  }
}

/** Puts the whole document in the file's place at once, for its owner's eyes only; a link stays one. Throws `registry/bad-docker-config`. */
export function writeDockerConfig(file: string, config: DockerConfig): void {
  try {
    replaceWhole(file, config);
  } catch (error) {
    throw fullDisk(error) === undefined ? badDockerConfig(messageOf(error), error) : error;
  }
}

function replaceWhole(file: string, config: DockerConfig): void {
  makeFolders(dirname(file), 0o700);
  const target = resolveLink(file);
  const draft = join(dirname(target), `.config.json.${process.pid}`);
  const open = openSync(draft, 'wx', 0o600);
  try {
    writeFileSync(open, `${JSON.stringify(config, undefined, '\t')}\n`);
    fsyncSync(open);
    renameSync(draft, target);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  } finally {
    closeSync(open);
  }
}

function resolveLink(file: string): string {
  try {
    return realpathSync(file);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return file;
    throw error;
  }
}

export function isHub(host: string): boolean {
  return hubHosts.has(host);
}

/** `reg.example` of `https://reg.example/v1/`; all names of Docker Hub are `docker.io`. */
export function hostOfServer(server: string): string {
  const host = server.replace(/^https?:\/\//iu, '').replace(/\/.*$/su, '');
  return host === '' || isHub(host) ? 'docker.io' : host;
}

/** What a host's credentials are kept under. */
export function keyOfHost(host: string): string {
  return isHub(host) ? hubKey : host;
}

/** Keys are hosts or, in old files, URLs: `https://reg.example/v1/`. */
export function entryFor<T>(entries: Readonly<Record<string, T>>, host: string): T | undefined {
  let loose: T | undefined;
  for (const [key, entry] of Object.entries(entries)) {
    if (key === host || (isHub(host) && key === hubKey)) return entry;
    if (meansHost(key, host)) loose ??= entry;
  }
  return loose;
}

/** Is `key` of `auths` or `credHelpers` about this host? */
export function meansHost(key: string, host: string): boolean {
  const bare = key.replace(/^https?:\/\//u, '').replace(/\/.*$/u, '');
  return bare === host || (isHub(host) && isHub(bare));
}

/** The name of the program that keeps this host's credentials; undefined: they are in the file. */
export function helperFor(config: DockerConfig, host: string): string | undefined {
  return entryFor(config.credHelpers ?? {}, host) ?? (config.credsStore === '' ? undefined : config.credsStore);
}

/** What is wanted of a credential helper, and what it is told on its standard input. */
export type HelperCall = {
  readonly name: string;
  readonly action: 'get' | 'store' | 'erase' | 'list';
  readonly input: string;
  readonly environment: Environment;
};

/**
 * Runs `docker-credential-NAME ACTION`, by the protocol of docker-credential-helpers. Gives what it wrote; undefined when it does not know the credentials. Throws
 * `registry/credential-helper`, `registry/no-credential-helper`, `registry/bad-docker-config`.
 */
export async function callHelper({ name, action, input, environment }: HelperCall, signal: AbortSignal): Promise<Uint8Array | undefined> {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/u.test(name)) throw badDockerConfig(`"${name}" is no name of a credential helper`);
  const command = `docker-credential-${name}`;
  const hint = helperHint(name, environment);
  const exit = await runProcess(
    {
      command,
      arguments: [action],
      input: new TextEncoder().encode(input),
      environment: definedOnly(environment),
      captureLimit: helperLimit,
    },
    signal,
  ).catch((error: unknown) => {
    if (!isCode(error, 'linux/no-such-command')) throw error;
    throw registryError('no-credential-helper', error.message, { fault: 'user', cause: error, hint });
  });
  if (exit.code === 0) return exit.stdout;
  const [said, complaint] = [exit.stdout, exit.stderr].map((bytes) => new TextDecoder().decode(bytes).trim().slice(0, 300));
  if (/credentials not found/iu.test(said ?? '')) return undefined;
  const why = said || complaint || `it ended with ${exit.code ?? exit.signal}`;
  throw registryError('credential-helper', `Cannot ${action} credentials by ${command}: ${why}`, { fault: 'user', hint });
}

/** What to do about a credential helper that does not help. */
export function helperHint(name: string, environment: Environment): string {
  return `${dockerConfigFile(environment)} names "${name}" as what keeps credentials ("credsStore", "credHelpers"): have docker-credential-${name} work, or take the name out of there`;
}

function definedOnly(environment: Environment): Record<string, string> {
  return Object.fromEntries(Object.entries(environment).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
}

/** `registry/bad-docker-config` */
export function badDockerConfig(why: string, cause?: unknown): JettisonError {
  return registryError('bad-docker-config', `Cannot use docker's config.json: ${why}`, { fault: 'user', cause });
}
