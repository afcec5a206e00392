/** The devices that a process without sandbox gets beside the usual ones: those of BuildKit's `security.insecure`. */
import { existsSync } from 'node:fs';
import type { RuntimeDevice } from '#formats/oci/runtime-spec.ts';

/** Numbers of the kernel's Documentation/admin-guide/devices.txt. */
const characterDevices: readonly (readonly [path: string, major: number, minor: number])[] = [
  ['/dev/kmsg', 1, 11],
  ['/dev/cuse', 10, 203],
  ['/dev/fuse', 10, 229],
  ['/dev/kvm', 10, 232],
  ['/dev/net/tun', 10, 200],
  ['/dev/loop-control', 10, 237],
];
const loopMajor = 7;
/** Loop devices beyond the first free one. */
const spareLoops = 7;

/** `loops`: how many loop devices there shall be. */
export function insecureDevices(loops: number): readonly RuntimeDevice[] {
  return [
    ...characterDevices.map(([path, major, minor]): RuntimeDevice => ({ path, type: 'c', major, minor, fileMode: 0o666 })),
    ...Array.from({ length: loops }, (_, minor): RuntimeDevice => ({
      path: `/dev/loop${minor}`,
      type: 'b',
      major: loopMajor,
      minor,
      fileMode: 0o660,
    })),
  ];
}

/** The first loop device that nothing is attached to (sysfs: `loop/backing_file`), those before it, and some more. */
export function countLoops(): number {
  let free = 0;
  while (existsSync(`/sys/block/loop${free}/loop/backing_file`)) free++;
  return free + 1 + spareLoops;
}
