/** Device files of the host, as a container is given them. */
import { readdirSync, statSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import { JettisonError, systemCode } from '#ground/base/errors.ts';
import type { RuntimeDevice } from '#formats/oci/runtime-spec.ts';
import type { BindMount } from './contract.ts';

/** Below /dev, but not of the machine: the runtime makes its own, or they belong to who is logged in. */
const left = new Set([
  'pts',
  'shm',
  'fd',
  'mqueue',
  '.lxc',
  '.lxd-mounts',
  '.udev',
  'console',
  'tty',
  'null',
  'zero',
  'full',
  'random',
  'urandom',
  'ptmx',
]);

/** All device files of /dev, links not followed, as `--privileged` shows them. */
export function allHostDevices(): readonly RuntimeDevice[] {
  return [...devicesIn('/dev', left)];
}

function* devicesIn(folder: string, leftOut: ReadonlySet<string>): Generator<RuntimeDevice> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (leftOut.has(entry.name)) continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* devicesIn(path, new Set());
    else if (entry.isCharacterDevice() || entry.isBlockDevice()) {
      const stats = statSync(path, { throwIfNoEntry: false });
      if (stats !== undefined) yield describe(path, stats);
    }
  }
}

function describe(path: string, { mode, rdev, uid, gid }: Stats): RuntimeDevice {
  return { path, type: (mode & 0o170000) === 0o060000 ? 'b' : 'c', ...numbersOf(rdev), fileMode: mode & 0o7777, uid, gid };
}

/** makedev(3) of glibc, backwards. */
function numbersOf(device: number): { readonly major: number; readonly minor: number } {
  const bits = BigInt(device);
  const major = ((bits >> 32n) & 0xfffff000n) | ((bits >> 8n) & 0xfffn);
  const minor = ((bits >> 12n) & 0xffffff00n) | (bits & 0xffn);
  return { major: Number(major), minor: Number(minor) };
}

/**
 * What shows the device `source` of the host, or all devices in a folder of it, at `target`. Throws `runtime/no-device` in Docker's words.
 */
export function mountDevice(source: string, target: string): readonly BindMount[] {
  const stats = look(source);
  if (stats.isCharacterDevice() || stats.isBlockDevice()) {
    return [{ kind: 'bind', source, target, readOnly: false, isDevice: true }];
  }
  const found = stats.isDirectory() ? [...devicesIn(source, new Set())] : [];
  if (found.length === 0) throw noDevice(source, 'not a device node');
  return found.map(({ path }) => ({
    kind: 'bind',
    source: path,
    target: target + path.slice(source.length),
    readOnly: false,
    isDevice: true,
  }));
}

function look(path: string): Stats {
  try {
    return statSync(path);
  } catch (error) {
    if (!['ENOENT', 'ENOTDIR', 'EACCES'].includes(systemCode(error) ?? '')) throw error;
    throw noDevice(path, systemCode(error) === 'EACCES' ? 'permission denied' : 'no such file or directory');
  }
}

function noDevice(path: string, why: string): JettisonError {
  return new JettisonError('runtime/no-device', `error gathering device information while adding custom device "${path}": ${why}`, {
    fault: 'environment',
  });
}
