import { notBuilt } from './not-built.ts';
import type { Engine } from './open.ts';
import { version } from './version.ts';
import type { SystemInfo, VersionInfo } from './requests.ts';

export function systemInfo(_engine: Engine): SystemInfo {
  return notBuilt('"systemInfo"');
}

export function versionInfo(): VersionInfo {
  const architectures: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' };
  return { version, node: process.versions.node, os: process.platform, architecture: architectures[process.arch] ?? process.arch };
}
