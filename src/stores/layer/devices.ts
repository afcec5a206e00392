/** Which device nodes may come out of an archive, be it a layer or one that ADD unpacks. */
import type { ByteString } from '#ground/base/byte-string.ts';
import { fileTypes, makeNodeAt, procPath } from '#ground/linux/syscall.ts';
import { setAttribute } from '#ground/linux/attributes.ts';
import { isMachineRoot } from '#ground/linux/user-namespace.ts';
import type { TarEntry } from '#formats/tar/entry.ts';

/** What debootstrap and its kind leave in /dev, and what every container has there anyway (Linux's devices.txt: majors 1 and 5). */
const harmlessDevices: ReadonlySet<string> = new Set([
  'dev/console 5:1',
  'dev/full 1:7',
  'dev/null 1:3',
  'dev/ptmx 5:2',
  'dev/random 1:8',
  'dev/tty 5:0',
  'dev/urandom 1:9',
  'dev/zero 1:5',
]);

/**
 * Undefined when the node may be made at `path` (from the root of the image, with or without a slash in front), else why not. A device node is a door to the
 * machine's own disks and memory for whoever may open it, and no image needs one: every container gets a /dev of its own. 0:0 would even be a deletion.
 */
export function whyNoDevice(path: string, { kind, device }: Pick<TarEntry, 'kind' | 'device'>): string | undefined {
  const { major, minor } = device ?? { major: 0, minor: 0 };
  if (kind === 'character-device' && harmlessDevices.has(`${path.replace(/^(?:\.?\/)+/u, '')} ${major}:${minor}`)) return undefined;
  return `is a ${kind} node (${major}:${minor}); but for the usual ones of /dev, images may not bring device nodes`;
}

/** Only the machine's own root may make device nodes. Elsewhere an empty file stands for one, and this attribute says for which: `1:3`. */
export const deviceAttribute = 'user.jettison.device';

/** Makes a device that `whyNoDevice` lets pass, or the file that stands for it, in the open folder `at`; its owner, mode and time are the caller's to set. */
export function makeDeviceAt(at: number, name: ByteString, device: NonNullable<TarEntry['device']>): void {
  if (isMachineRoot()) return makeNodeAt(at, name, { type: fileTypes.character, mode: 0o600, ...device });
  makeNodeAt(at, name, { type: fileTypes.file, mode: 0o600 });
  setAttribute(procPath(at, name), deviceAttribute, new TextEncoder().encode(`${device.major}:${device.minor}`));
}

/** The device that an empty file at `path` stands for, by the value of its `deviceAttribute`. A step may have written that itself: what no image may bring is no device here either. */
export function standsFor(path: string, value: Uint8Array): TarEntry['device'] {
  const [, major, minor] = /^([0-9]{1,8}):([0-9]{1,8})$/u.exec(new TextDecoder().decode(value)) ?? [];
  if (major === undefined || minor === undefined) return undefined;
  const device = { major: Number(major), minor: Number(minor) };
  return whyNoDevice(path, { kind: 'character-device', device }) === undefined ? device : undefined;
}
