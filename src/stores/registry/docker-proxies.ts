/** `proxies` of docker's `config.json`: what docker's command line hands to each RUN and each container. */
import { dockerConfigFile, readDockerConfig, type Environment } from './docker-config.ts';

/** The address that docker's command line asks where it is told none. */
const usualHost = 'unix:///var/run/docker.sock';

const members = {
  HTTP_PROXY: 'httpProxy',
  HTTPS_PROXY: 'httpsProxy',
  NO_PROXY: 'noProxy',
  FTP_PROXY: 'ftpProxy',
  ALL_PROXY: 'allProxy',
} as const;

/**
 * By the names of the variables in upper case: of the entry for the engine that docker's command line would ask (DOCKER_HOST), else of `default`; one counts, the two are
 * not joined. Empty where there is none. Source: docker/cli, configfile, ParseProxyConfig. Throws `registry/bad-docker-config`.
 */
export function readDockerProxies(environment: Environment): ReadonlyMap<string, string> {
  const entries = new Map(Object.entries(readDockerConfig(dockerConfigFile(environment)).proxies ?? {}));
  const entry = entries.get(environment['DOCKER_HOST'] || usualHost) ?? entries.get('default') ?? {};
  return new Map(Object.entries(members).flatMap(([name, member]) => (entry[member] ? [[name, entry[member]]] : [])));
}
