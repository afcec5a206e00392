/** `jettison info` and `version` */
import { availableParallelism, release, totalmem } from 'node:os';
import { nativeOrAsked } from './platform.ts';
import type { Engine } from './open.ts';
import type { SystemInfo, VersionInfo } from './requests.ts';
import { version } from './version.ts';

export function systemInfo(engine: Engine): SystemInfo {
  return {
    version,
    store: engine.paths.store,
    images: engine.images.list().length,
    containers: engine.containers.list().length,
    runtime: 'crun, else runc: the first that works',
    rootless: process.getuid?.() !== 0,
    kernel: release(),
    architecture: nativeOrAsked(undefined).architecture,
    cpus: availableParallelism(),
    memory: totalmem(),
  };
}

export function versionInfo(): VersionInfo {
  return { version, node: process.versions.node, os: process.platform, architecture: nativeOrAsked(undefined).architecture };
}
