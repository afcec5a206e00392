/** Whether the kernel tells a normal user of processes. By facts: to ask it is what the tests are about. */
import { readlinkSync } from 'node:fs';
import { release } from 'node:os';

/** Numbers that the machine's own namespaces have on each kernel (include/linux/proc_ns.h, PROC_PID_INIT_INO and PROC_USER_INIT_INO). */
const own = { pid: 'pid:[4026531836]', user: 'user:[4026531837]' };

/** Since Linux 6.6, in the machine's own namespaces. */
export const isToldOfProcesses = isSince(6, 6) && Object.entries(own).every(([name, one]) => readlinkSync(`/proc/self/ns/${name}`) === one);

function isSince(major: number, minor: number): boolean {
  const [first = 0, second = 0] = release().split('.').map(Number);
  return first > major || (first === major && second >= minor);
}
