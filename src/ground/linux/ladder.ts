/** Which rungs of the ladder this process can have, as far as looking tells; only trying tells the rest. */
import { existsSync } from 'node:fs';
import { unreachable } from '#ground/base/errors.ts';
import { isolations, noIsolation, type Isolation } from './isolation.ts';
import { capability, ownRights } from './own-rights.ts';
import { whyNoSubordinateIds, whyNoUserNamespaces, type Obstacle } from './user-namespace.ts';

/** What keeps this process from a rung; undefined when nothing is seen that does. `path`: where newuidmap is looked for. */
export function obstacleTo(isolation: Isolation, path: string): Obstacle | undefined {
  switch (isolation) {
    case 'oci':
      return whyNotMachineRoot();
    case 'rootless':
      return whyNoUserNamespaces() ?? (ownRights().isRoot ? whyNoMapping() : whyNoSubordinateIds(path));
    case 'rootless-single':
      return whyNoUserNamespaces();
    case 'chroot':
      return whyNoChroot();
    default:
      return unreachable(isolation, 'isolation');
  }
}

/** The rungs to try, best first. */
export function rungsToTry(path: string): readonly Isolation[] {
  return isolations.filter((isolation) => obstacleTo(isolation, path) === undefined);
}

/** Throws `linux/no-isolation` for a rung that was asked for by name and is seen not to be there. */
export function requireRung(isolation: Isolation, path: string): void {
  const obstacle = obstacleTo(isolation, path);
  if (obstacle !== undefined) throw noIsolation(isolation, obstacle.problem, obstacle.hint);
}

function whyNotMachineRoot(): Obstacle | undefined {
  const rights = ownRights();
  if (!rights.isRoot) return { problem: 'this is not root', hint: 'Run it as root' };
  if (rights.has(capability.sysAdmin)) return undefined;
  return {
    problem: 'root has no CAP_SYS_ADMIN here',
    hint: 'Start the container with it: --privileged, or --cap-add SYS_ADMIN with --security-opt seccomp=unconfined and apparmor=unconfined',
  };
}

function whyNoMapping(): Obstacle | undefined {
  const rights = ownRights();
  if (rights.has(capability.setuid) && rights.has(capability.setgid)) return undefined;
  return { problem: 'root may not map ids here', hint: 'Give it CAP_SETUID and CAP_SETGID' };
}

/** SETPCAP takes rights away from steps, MKNOD makes their /dev. */
const neededForChroot = {
  CHOWN: capability.chown,
  DAC_OVERRIDE: capability.dacOverride,
  FOWNER: capability.fowner,
  KILL: capability.kill,
  SETGID: capability.setgid,
  SETUID: capability.setuid,
  SETPCAP: capability.setpcap,
  SYS_CHROOT: capability.sysChroot,
  MKNOD: capability.mknod,
} as const;

function whyNoChroot(): Obstacle | undefined {
  const rights = ownRights();
  if (!rights.isRoot) return { problem: 'this is not root', hint: 'Run it as root of a container' };
  const missing = Object.entries(neededForChroot).flatMap(([name, bit]) => (rights.has(bit) ? [] : [name]));
  if (missing.length > 0)
    return {
      problem: `root lacks rights that every container of Docker has: ${missing.join(', ')}`,
      hint: 'Give the container these capabilities',
    };
  if (existsSync('/proc/thread-self/children')) return undefined;
  return { problem: 'the kernel does not list the children of processes', hint: 'It needs one with CONFIG_PROC_CHILDREN' };
}
