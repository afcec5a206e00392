/** Docker's `config.json` as far as we read it: `auths`, `credHelpers`, `credsStore`, `proxies`. */
import { closeSync, fsyncSync, openSync, readFileSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import * as v from 'valibot';
import { checkShape, parseJson, type Document } from '#ground/base/decode.ts';
import { fullDisk, messageOf, systemCode, type JettisonError } from '#ground/base/errors.ts';
import { makeFolders } from '#ground/base/make-folders.ts';
import { registryError } from './errors.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

const hubHosts: ReadonlySet<string> = new Set(['docker.io', 'index.docker.io', 'registry-1.docker.io']);
/** Under this key docker keeps what it knows of Docker Hub. */
export const hubKey = 'https://index.docker.io/v1/';
const fileLimit = 4 << 20;

const entrySchema = v.looseObject({
  auth: v.exactOptional(v.string()),
  username: v.exactOptional(v.string()),
  password: v.exactOptional(v.string()),
  identitytoken: v.exactOptional(v.string()),
  registrytoken: v.exactOptional(v.string()),
});
const proxySchema = v.looseObject({
  httpProxy: v.exactOptional(v.string()),
  httpsProxy: v.exactOptional(v.string()),
  noProxy: v.exactOptional(v.string()),
  ftpProxy: v.exactOptional(v.string()),
  allProxy: v.exactOptional(v.string()),
});
const fileSchema = v.looseObject({
  auths: v.exactOptional(v.record(v.string(), entrySchema)),
  credsStore: v.exactOptional(v.string()),
  credHelpers: v.exactOptional(v.record(v.string(), v.string())),
  proxies: v.exactOptional(v.record(v.string(), proxySchema)),
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

/** `registry/bad-docker-config` */
export function badDockerConfig(why: string, cause?: unknown): JettisonError {
  return registryError('bad-docker-config', `Cannot use docker's config.json: ${why}`, { fault: 'user', cause });
}
