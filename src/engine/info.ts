/** `jettison info` and `version` */
import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism, hostname, machine, release, totalmem } from 'node:os';
import { delimiter, join } from 'node:path';
import { runnablePlatforms, type RunnablePlatform } from '#execution/worker/platforms.ts';
import { limitsOn } from '#execution/worker/offered-limits.ts';
import { isMachineRoot, rungsFor } from '#execution/worker/rungs.ts';
import { systemCode } from '#ground/base/errors.ts';
import { isUp } from './containers.ts';
import { nativeOrAsked } from './platform.ts';
import type { Engine } from './open.ts';
import type { SystemInfo, VersionInfo } from './info-requests.ts';
import { version } from './version.ts';

export function systemInfo(engine: Engine): SystemInfo {
  const states = engine.containers.list().map(({ state }) => state);
  const runtimes = installedRuntimes(engine.environment['PATH']);
  const [isolation] = rungsFor(engine.paths.store, engine.wish, engine.environment['PATH'] ?? '');
  return {
    version,
    store: engine.paths.store,
    images: engine.images.summaries().length,
    containers: states.length,
    running: states.filter((state) => isUp(state) && state.kind !== 'paused').length,
    paused: states.filter(({ kind }) => kind === 'paused').length,
    runtimes,
    rootless: !isMachineRoot(),
    isolation: isolation ?? 'none: see "jettison doctor"',
    limits: limitsOn(isolation),
    cgroupVersion: existsSync('/sys/fs/cgroup/cgroup.controllers') ? '2' : '1',
    kernel: release(),
    system: systemName(),
    machine: machine(),
    architecture: nativeOrAsked(undefined).architecture,
    platforms: runnablePlatforms().map(({ platform }) => platform),
    cpus: availableParallelism(),
    memory: totalmem(),
    hostname: hostname(),
    forwards: readText('/proc/sys/net/ipv4/ip_forward').trim() === '1',
    registries: [...engine.config.registries].map(([host, settings]) => ({
      host,
      mirrors: settings.mirrors.map((one) => `${one.plainHttp ? 'http' : 'https'}://${one.host}/${one.prefix}`),
      secure: settings.plainHttp !== true,
    })),
    proxies: {
      http: withoutPassword(variable(engine.environment, 'HTTP_PROXY')),
      https: withoutPassword(variable(engine.environment, 'HTTPS_PROXY')),
      none: variable(engine.environment, 'NO_PROXY'),
    },
    now: engine.now(),
  };
}

/** The runtimes that a step could be run with, in the order in which they are tried; which one works is found by the first step. */
function installedRuntimes(path = ''): SystemInfo['runtimes'] {
  return ['crun', 'runc'].flatMap((name) => {
    const folder = path.split(delimiter).find((one) => one !== '' && existsSync(join(one, name)));
    return folder === undefined ? [] : [{ name, path: join(folder, name) }];
  });
}

/** As os-release(5) has it: `Debian GNU/Linux 12 (bookworm)`. */
function systemName(): string {
  return /^PRETTY_NAME=(["']?)(.*)\1$/mu.exec(readText('/etc/os-release'))?.[2] ?? 'Linux';
}

/** '' where it cannot be read. */
function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    return '';
  }
}

/** Either spelling, as curl and Go read them. */
function variable(environment: Engine['environment'], name: string): string {
  return environment[name] || environment[name.toLowerCase()] || '';
}

/** Docker's mask, for what stands in front of the host. */
function withoutPassword(proxy: string): string {
  return proxy.replace(/^([a-z]+:\/\/)?[^/]*@/iu, '$1xxxxx:xxxxx@');
}

/** Of each platform whose programs run here, the emulator, if there is one. */
export function platformsHere(): readonly RunnablePlatform[] {
  return runnablePlatforms();
}

export function versionInfo(): VersionInfo {
  return {
    version,
    node: process.versions.node,
    os: process.platform,
    architecture: nativeOrAsked(undefined).architecture,
    kernel: release(),
  };
}
