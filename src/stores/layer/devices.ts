/** Which device nodes may come out of an archive, be it a layer or one that ADD unpacks. */
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
