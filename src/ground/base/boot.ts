/** Which run of this machine it is: what was written in another one, and not made safe on disk, may be lost or cut short. */
import { readFileSync } from 'node:fs';

let known: string | undefined;

/** 36 characters, new with every start of the kernel: /proc/sys/kernel/random/boot_id, see random(4). */
export function bootId(): string {
  known ??= readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  return known;
}
