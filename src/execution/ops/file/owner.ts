/**
 * --chown: names are looked up in the base's /etc/passwd and /etc/group. As BuildKit has it, a name alone brings the group of its passwd
 * line and a number alone is the group's number, too; unlike BuildKit, an unknown name is an error and not root. Root itself is 0
 * in images without these files, too.
 */
import { fromText } from '#ground/base/byte-string.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { suggest } from '#ground/base/human.ts';
import type { Tree } from '#ground/linux/tree.ts';
import { accountFileLimit, parseGroup, parsePasswd } from '#execution/runtime/user.ts';

/** What a file's owner can be; 4294967295 means "leave it" to chown(2). */
const largestId = 4_294_967_294;

export type OwnerIds = { readonly uid: number; readonly gid: number };

/** Takes the error for a name that the base does not know: throws it, or returns to go on as BuildKit does. */
export type OnUnknown = (error: JettisonError) => void;

/**
 * `spec` as written: `user`, `user:group` or `:group` (of root), names or numbers; an empty name is 0, as with BuildKit. Where `onUnknown` returns, an
 * unknown user is root, an unknown group the user's own. Throws `ops/bad-owner`; hands out `ops/unknown-user`, `ops/unknown-group`.
 */
export function findOwner(spec: string, base: Tree, onUnknown: OnUnknown): OwnerIds {
  const [user = '', group, ...more] = spec.split(':');
  if (more.length > 0)
    throw new JettisonError('ops/bad-owner', `Bad owner "${spec}"`, { hint: 'Write user, user:group, :group, or numbers' });
  const ids = user === '' ? root : findUser(user, base, onUnknown);
  if (group === undefined) return ids;
  return { uid: ids.uid, gid: group === '' ? 0 : (findGroup(group, base, onUnknown) ?? ids.gid) };
}

const root: OwnerIds = { uid: 0, gid: 0 };

function findUser(user: string, base: Tree, onUnknown: OnUnknown): OwnerIds {
  const number = parseId(user);
  if (number !== undefined) return { uid: number, gid: number };
  const users = parsePasswd(readText(base, 'etc/passwd'));
  const found = users.find(({ name }) => name === user);
  if (found === undefined && user !== 'root') onUnknown(unknown('user', user, users));
  return found === undefined ? root : { uid: found.uid, gid: found.gid };
}

function findGroup(group: string, base: Tree, onUnknown: OnUnknown): number | undefined {
  const number = parseId(group);
  if (number !== undefined) return number;
  const groups = parseGroup(readText(base, 'etc/group'));
  const found = groups.find(({ name }) => name === group);
  if (found !== undefined) return found.gid;
  if (group === 'root') return 0;
  onUnknown(unknown('group', group, groups));
  return undefined;
}

/** Digits are a number, never a name. */
function parseId(text: string): number | undefined {
  if (!/^\d+$/u.test(text)) return undefined;
  const id = text.length > 10 ? Number.NaN : Number(text);
  if (id <= largestId) return id;
  throw new JettisonError('ops/bad-owner', `Bad owner "${text}": ids go from 0 to ${largestId}`, {
    hint: 'Write user, user:group, :group, or numbers',
  });
}

function readText(base: Tree, path: string): string {
  const { entry } = base.resolve(fromText(path), true);
  return entry?.kind === 'file' ? new TextDecoder().decode(base.readFile(entry, accountFileLimit)) : '';
}

function unknown(what: 'user' | 'group', name: string, accounts: readonly { readonly name: string }[]): JettisonError {
  const file = what === 'user' ? '/etc/passwd' : '/etc/group';
  const near = suggest(
    name,
    accounts.map((one) => one.name),
  );
  return new JettisonError(`ops/unknown-${what}`, `Cannot find ${what} "${name}" in ${file} of the image`, {
    hint: near === undefined ? `Use a number, or make the ${what} in an earlier step` : `Did you mean "${near}"?`,
  });
}
