/** Which user namespace this process is in, and how a normal user gets one in which root may mount (user_namespaces(7)). */
import { accessSync, constants, readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { delimiter, join } from 'node:path';
import { JettisonError, systemCode } from '#ground/base/errors.ts';

/** The machine's own namespace maps all 32-bit ids to themselves. */
const wholeMap = /^\s*0\s+0\s+4294967295\s*$/u;
let isInitial: boolean | undefined;

/** Is root here the root of the machine? Elsewhere the kernel refuses device nodes and xattrs named `trusted.*`, and overlayfs keeps its marks in `user.*`. */
export function isInitialUserNamespace(): boolean {
  isInitial ??= wholeMap.test(readFileSync('/proc/self/uid_map', 'latin1'));
  return isInitial;
}

/** How the names of overlayfs's own xattrs begin, as mounts made in this namespace have them (https://docs.kernel.org/filesystems/overlayfs.html, "User xattr"). */
export function overlayMarks(): 'trusted.overlay.' | 'user.overlay.' {
  return isInitialUserNamespace() ? 'trusted.overlay.' : 'user.overlay.';
}

/** The xattr by which overlayfs knows an opaque folder. */
export function opaqueAttribute(): string {
  return `${overlayMarks()}opaque`;
}

/** What to put before `unshare`'s other options to become root of a user namespace that has this user's subordinate ids, too: nothing for root. */
export function userNamespaceOptions(): readonly string[] {
  return process.getuid?.() === 0 ? [] : ['--user', '--map-root-user', '--map-auto'];
}

/**
 * What a program and its arguments become so that it may touch files of all the ids that steps give them: for root nothing else; for a normal user they
 * are run as root of a user namespace. All see the files of a store as the worker wrote them, whose namespace has the same ids.
 */
export function withOwnIds(words: readonly string[]): readonly [string, ...string[]] {
  const options = userNamespaceOptions();
  const [command = '', ...rest] = words;
  return options.length === 0 ? [command, ...rest] : ['unshare', ...options, ...words];
}

/**
 * Throws `linux/no-ids` where a normal user has nothing to build with: no subordinate ids in /etc/subuid and /etc/subgid (subuid(5)), or none of the
 * programs that hand them out.
 */
export function requireOwnIds(path: string): void {
  if (process.getuid?.() === 0) return;
  const program = ['newuidmap', 'newgidmap'].find((name) => !isInPath(name, path));
  if (program !== undefined) throw noIds(`"${program}" is not installed`, 'Install it: apt install uidmap');
  const [id, name] = [process.getuid?.() ?? 0, userName()];
  if (['/etc/subuid', '/etc/subgid'].every((file) => hasRange(file, name, id))) return;
  const user = name ?? String(id);
  throw noIds(
    `user ${user} has no ids of its own in /etc/subuid and /etc/subgid`,
    `Let root run: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ${user}`,
  );
}

function noIds(problem: string, hint: string): JettisonError {
  return new JettisonError('linux/no-ids', `Cannot build without root: ${problem}`, { fault: 'environment', hint });
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
