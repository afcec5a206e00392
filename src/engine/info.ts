/** `jettison info` and `version` */
import { existsSync } from 'node:fs';
import { availableParallelism, release, totalmem } from 'node:os';
import { delimiter, join } from 'node:path';
import { isMachineRoot, rungsFor } from '#execution/worker/rungs.ts';
import { nativeOrAsked } from './platform.ts';
import type { Engine } from './open.ts';
import type { SystemInfo, VersionInfo } from './info-requests.ts';
import { version } from './version.ts';

export function systemInfo(engine: Engine): SystemInfo {
  return {
    version,
    store: engine.paths.store,
    images: engine.images.list().length,
    containers: engine.containers.list().length,
    runtime: installedRuntimes(engine.environment['PATH']),
    rootless: !isMachineRoot(),
    isolation: rungsFor(engine.paths.store, engine.wish, engine.environment['PATH'] ?? '')[0] ?? 'none: see "jettison doctor"',
    kernel: release(),
    architecture: nativeOrAsked(undefined).architecture,
    cpus: availableParallelism(),
    memory: totalmem(),
  };
}

/** The runtimes that a step could be run with, in the order in which they are tried; which one works is found by the first step. */
function installedRuntimes(path = ''): string {
  const isThere = (name: string): boolean => path.split(delimiter).some((folder) => folder !== '' && existsSync(join(folder, name)));
  return ['crun', 'runc'].filter(isThere).join(', ') || 'none: install crun or runc';
}

export function versionInfo(): VersionInfo {
  return { version, node: process.versions.node, os: process.platform, architecture: nativeOrAsked(undefined).architecture };
}
