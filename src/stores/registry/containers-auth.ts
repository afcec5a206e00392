/** Where Podman, Buildah and skopeo keep credentials (containers-auth.json(5)): files of the form of docker's `config.json`. They are read, never written. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { isCode, systemCode } from '#ground/base/errors.ts';
import { readDockerConfig, type DockerConfig, type Environment } from './docker-config.ts';

/** The file that REGISTRY_AUTH_FILE names, as somebody asked for it; undefined where it is not set. Throws `registry/bad-docker-config`. */
export function readNamedAuth(environment: Environment): DockerConfig | undefined {
  const file = environment['REGISTRY_AUTH_FILE'];
  return file ? withoutPaths(readDockerConfig(file)) : undefined;
}

/** What `podman login` wrote, the newest place first; empty where there is nothing, or nothing for this user. Throws `registry/bad-docker-config`. */
export function readUsualAuth(environment: Environment): readonly DockerConfig[] {
  const runtime = environment['XDG_RUNTIME_DIR'];
  const settings = environment['XDG_CONFIG_HOME'] || join(environment['HOME'] || homedir(), '.config');
  const folders = [runtime ? join(runtime, 'containers') : `/run/containers/${process.getuid?.() ?? 0}`, join(settings, 'containers')];
  return folders.map((folder) => withoutPaths(readOwn(join(folder, 'auth.json'))));
}

/** After `su` XDG_RUNTIME_DIR may be another user's: nobody has asked for what is there. */
function readOwn(file: string): DockerConfig {
  try {
    return readDockerConfig(file);
  } catch (error) {
    if (isCode(error, 'registry/bad-docker-config') && systemCode(error.cause) === 'EACCES') return {};
    throw error;
  }
}

function withoutPaths(config: DockerConfig): DockerConfig {
  return { ...config, auths: ofHosts(config.auths ?? {}), credHelpers: ofHosts(config.credHelpers ?? {}) };
}

/** Credentials of one repository (`reg.example/team/app`) are for nothing else: a host is all that we look for. */
function ofHosts<T>(entries: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(entries).filter(([key]) => key.includes('://') || !key.includes('/')));
}
