/** Which user namespace this process is in, and how one is had in which root may mount (user_namespaces(7)). */
import { accessSync, constants, readFileSync, readlinkSync } from 'node:fs';
import { userInfo } from 'node:os';
import { delimiter, join } from 'node:path';
import { systemCode } from '#ground/base/errors.ts';
import type { Isolation } from './isolation.ts';
import { capability, ownRights } from './own-rights.ts';

/**
 * Has root here the rights of the machine's root? Elsewhere (in a user namespace, or without CAP_SYS_ADMIN) the kernel refuses device nodes and xattrs named
 * `trusted.*`, and overlayfs keeps its marks in `user.*`.
 */
export function isMachineRoot(): boolean {
  const rights = ownRights();
  return rights.isInitialNamespace && rights.has(capability.sysAdmin);
}

/** How the names of overlayfs's own xattrs begin, as mounts made in this namespace have them (https://docs.kernel.org/filesystems/overlayfs.html, "User xattr"). */
export function overlayMarks(): 'trusted.overlay.' | 'user.overlay.' {
  return isMachineRoot() ? 'trusted.overlay.' : 'user.overlay.';
}

/** The xattr by which overlayfs knows an opaque folder. */
export function opaqueAttribute(): string {
  return `${overlayMarks()}opaque`;
}

/**
 * What to put before `unshare`'s other options to become root of a user namespace as an isolation has it: with a user's subordinate ids, or with a single id.
 * Nothing for root, whose ids are mapped from outside (`namespace.ts`).
 */
export function userNamespaceOptions(isolation: Isolation): readonly string[] {
  if (isolation === 'rootless-single') return ['--user', '--map-root-user'];
  return isolation === 'rootless' && process.getuid?.() !== 0 ? ['--user', '--map-root-user', '--map-auto'] : [];
}

/**
 * What a program and its arguments become so that it may touch files of all the ids that steps give them: for root nothing else; for a normal user they
 * are run as root of a user namespace. All see the files of a store as the worker wrote them, whose namespace has the same ids.
 */
export function withOwnIds(words: readonly string[], isolation: Isolation): readonly [string, ...string[]] {
  const options = process.getuid?.() === 0 ? [] : userNamespaceOptions(isolation);
  const [command = '', ...rest] = words;
  return options.length === 0 ? [command, ...rest] : ['unshare', ...options, ...words];
}

/** Are two processes in the same user namespace? Not for one that has ended, or may not be looked at. */
export function haveOneUserNamespace(one: number, other: number): boolean {
  try {
    return readlinkSync(`/proc/${one}/ns/user`) === readlinkSync(`/proc/${other}/ns/user`);
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    return false;
  }
}

/** Why something cannot be had, and what to do about it: the hint is a sentence. */
export type Obstacle = { readonly problem: string; readonly hint: string };

/** Why a normal user has no subordinate ids: none in /etc/subuid and /etc/subgid (subuid(5)), or nothing that hands them out. */
export function whyNoSubordinateIds(path: string): Obstacle | undefined {
  const program = ['newuidmap', 'newgidmap'].find((name) => !isInPath(name, path));
  if (program !== undefined) return { problem: `"${program}" is not installed`, hint: 'Install it: apt install uidmap' };
  if (ownRights().noNewPrivileges) {
    return {
      problem: 'this process may not gain rights (no_new_privs), so newuidmap is of no use',
      hint: 'Start it without no_new_privs: allowPrivilegeEscalation in Kubernetes, NoNewPrivileges in systemd, --security-opt no-new-privileges in Docker',
    };
  }
  const [id, name] = [process.getuid?.() ?? 0, userName()];
  if (['/etc/subuid', '/etc/subgid'].every((file) => hasRange(file, name, id))) return undefined;
  const user = name ?? String(id);
  return {
    problem: `user ${user} has no ids of its own in /etc/subuid and /etc/subgid`,
    hint: `Let root run: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ${user}`,
  };
}

/** What keeps this process from making user namespaces, as far as the kernel's switches tell. */
export function whyNoUserNamespaces(): Obstacle | undefined {
  if (readNumber('/proc/sys/user/max_user_namespaces') === 0)
    return { problem: 'the machine allows no user namespaces', hint: 'Let root run: sysctl -w user.max_user_namespaces=28633' };
  if (process.getuid?.() === 0 && ownRights().has(capability.sysAdmin)) return undefined;
  if (readNumber('/proc/sys/kernel/unprivileged_userns_clone') === 0)
    return {
      problem: 'the machine allows no user namespaces without root',
      hint: 'Let root run: sysctl -w kernel.unprivileged_userns_clone=1',
    };
  if (readNumber('/proc/sys/kernel/apparmor_restrict_unprivileged_userns') === 1) {
    return {
      problem: 'AppArmor restricts user namespaces without root',
      hint: 'Let root run: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or give node and unshare a profile with "userns,"',
    };
  }
  return undefined;
}

function readNumber(path: string): number | undefined {
  try {
    return Number(readFileSync(path, 'latin1'));
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'EACCES') return undefined;
    throw error;
  }
}

/** Undefined for an id without a name. */
function userName(): string | undefined {
  try {
    return userInfo().username;
  } catch (error) {
    if (systemCode(error) === 'ERR_SYSTEM_ERROR') return undefined;
    throw error;
  }
}

function hasRange(file: string, name: string | undefined, id: number): boolean {
  try {
    return readFileSync(file, 'utf8')
      .split('\n')
      .map((line) => line.split(':'))
      .some(([who, , count]) => (who === name || who === String(id)) && Number(count) > 0);
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'EACCES') return false;
    throw error;
  }
}

function isInPath(program: string, path: string): boolean {
  return path.split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return folder !== '';
    } catch {
      return false;
    }
  });
}
