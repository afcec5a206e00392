/**
 * --chown: names are looked up in the base's /etc/passwd and /etc/group. As BuildKit has it, a name alone brings the group of its passwd
 * line and a number alone is the group's number, too; unlike BuildKit, an unknown name is an error and not root.
 */
import { fromText } from '#ground/base/byte-string.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { suggest } from '#ground/base/human.ts';
import type { Tree } from '#ground/linux/tree.ts';

export type OwnerIds = { readonly uid: number; readonly gid: number };

/** More of /etc/passwd or /etc/group than this is not read (bytes). */
const tableLimit = 4 * 1024 * 1024;
const largestId = 2 ** 31 - 1;

/** `spec` as written: `user`, `user:group` or `:group` (of root), names or numbers. Throws `ops/unknown-user`, `ops/unknown-group`, `ops/bad-owner`. */
export function findOwner(spec: string, base: Tree): OwnerIds {
  const [user = '', group = '', ...more] = spec.split(':');
  if (more.length > 0 || (user === '' && group === '')) {
    throw new JettisonError('ops/bad-owner', `Bad owner "${spec}"`, { hint: 'Write user, user:group, :group, or numbers' });
  }
  const ids = user === '' ? { uid: 0, gid: 0 } : findUser(user, base);
  return group === '' ? ids : { uid: ids.uid, gid: findGroup(group, base) };
}

function findUser(user: string, base: Tree): OwnerIds {
  const number = parseId(user);
  if (number !== undefined) return { uid: number, gid: number };
  const lines = readTable(base, 'etc/passwd');
  const [, , uid = '', gid = ''] = lines.find(([name]) => name === user) ?? [];
  const found = { uid: parseId(uid), gid: parseId(gid) };
  if (found.uid === undefined || found.gid === undefined) throw unknown('user', user, lines);
  return { uid: found.uid, gid: found.gid };
}

function findGroup(group: string, base: Tree): number {
  const number = parseId(group);
  if (number !== undefined) return number;
  const lines = readTable(base, 'etc/group');
  const gid = parseId(lines.find(([name]) => name === group)?.[2] ?? '');
  if (gid === undefined) throw unknown('group', group, lines);
  return gid;
}

/** Digits are a number, never a name. */
function parseId(text: string): number | undefined {
  if (!/^\d+$/u.test(text)) return undefined;
  const id = text.length > 10 ? Number.NaN : Number(text);
  if (id <= largestId) return id;
  throw new JettisonError('ops/bad-owner', `Bad owner "${text}": ids go from 0 to ${largestId}`);
}

function readTable(base: Tree, path: string): readonly (readonly string[])[] {
  const { entry } = base.resolve(fromText(path), true);
  if (entry?.kind !== 'file') return [];
  const text = new TextDecoder().decode(base.readFile(entry, tableLimit));
  return text.split('\n').map((line) => line.trim().split(':'));
}

function unknown(what: 'user' | 'group', name: string, lines: readonly (readonly string[])[]): JettisonError {
  const file = what === 'user' ? '/etc/passwd' : '/etc/group';
  const names = lines.map(([first = '']) => first).filter((first) => first !== '');
  const near = suggest(name, names);
  return new JettisonError(`ops/unknown-${what}`, `Cannot find ${what} "${name}" in ${file} of the image`, {
    hint: near === undefined ? `Use a number, or make the ${what} in an earlier step` : `Did you mean "${near}"?`,
  });
}
