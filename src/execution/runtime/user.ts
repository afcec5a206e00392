/** Who a process runs as: a USER spec against the texts of the image's own /etc/passwd and /etc/group. Nothing of the host is asked, no library of the image is loaded. */
import { JettisonError } from '#ground/base/errors.ts';
import type { ProcessUser } from './contract.ts';

/** Texts; undefined where the image has no such file. */
export type AccountFiles = { readonly passwd: string | undefined; readonly group: string | undefined };

export type ResolvedUser = ProcessUser & {
  /** From /etc/passwd; `/` for an id it does not have. */
  readonly home: string;
};

/** More of /etc/passwd or /etc/group than this is not read (bytes). */
export const accountFileLimit = 4 * 1024 * 1024;

export const largestId = 2 ** 31 - 1;

const userHint = 'Write user, user:group, or numbers; the image or its USER names it';

type PasswdEntry = { readonly name: string; readonly uid: number; readonly gid: number; readonly home: string };
type GroupEntry = { readonly name: string; readonly gid: number; readonly members: readonly string[] };

/**
 * `''`, `name`, `uid`, `name:group`, `uid:gid`. Digits are a number, never a name. A user of /etc/passwd gets the groups that /etc/group
 * lists them in, unless a group is given. The primary group is always among the additional ones, as Docker and BuildKit have it
 * (CVE-2022-36109: else a process could drop a group that is there to deny it something). Throws `runtime/unknown-user`, `runtime/unknown-group`, `runtime/bad-user`.
 */
export function resolveUser(spec: string, files: AccountFiles): ResolvedUser {
  const [userPart = '', groupPart = '', ...rest] = spec.split(':');
  if (rest.length > 0) throw new JettisonError('runtime/bad-user', `Invalid user "${spec}": more than one ":"`, { hint: userHint });
  const user = findUser(userPart, spec, files.passwd);
  const home = user.home === '' ? '/' : user.home;
  const gid = groupPart === '' ? user.gid : findGroup(groupPart, spec, files.group);
  const more = groupPart === '' ? groupsOf(user.name, files.group) : [];
  return { uid: user.uid, gid, additionalGids: [...new Set([gid, ...more])], home };
}

/** The same user in further groups, by name or number. Throws `runtime/unknown-group`, `runtime/bad-user`. */
export function withGroups(user: ResolvedUser, groups: readonly string[], { group }: AccountFiles): ResolvedUser {
  return { ...user, additionalGids: [...new Set([...user.additionalGids, ...groups.map((name) => findGroup(name, name, group))])] };
}

function findUser(part: string, spec: string, passwd: string | undefined): PasswdEntry {
  const entries = parsePasswd(passwd ?? '');
  const id = part === '' ? 0 : parseId(part, spec);
  if (id !== undefined) return entries.find((entry) => entry.uid === id) ?? { name: '', uid: id, gid: 0, home: '/' };
  const found = entries.find((entry) => entry.name === part);
  if (found) return found;
  throw new JettisonError(
    'runtime/unknown-user',
    `Unable to find user ${part}: no matching entries in passwd file (/etc/passwd of the image)`,
    {
      hint:
        passwd === undefined
          ? 'The image has no /etc/passwd: use a numeric user id'
          : 'Add the user (useradd, adduser) in an earlier RUN, or use a numeric id',
    },
  );
}

function findGroup(part: string, spec: string, group: string | undefined): number {
  const id = parseId(part, spec);
  if (id !== undefined) return id;
  const found = parseGroup(group ?? '').find((entry) => entry.name === part);
  if (found) return found.gid;
  throw new JettisonError(
    'runtime/unknown-group',
    `Unable to find group ${part}: no matching entries in group file (/etc/group of the image)`,
    {
      hint:
        group === undefined
          ? 'The image has no /etc/group: use a numeric group id'
          : 'Add the group (groupadd, addgroup) in an earlier RUN, or use a numeric id',
    },
  );
}

function groupsOf(name: string, group: string | undefined): readonly number[] {
  if (name === '') return [];
  const found = parseGroup(group ?? '').filter((entry) => entry.members.includes(name));
  return found.map((entry) => entry.gid);
}

/** undefined for what is a name. */
function parseId(text: string, spec: string): number | undefined {
  if (!/^-?\d+$/u.test(text)) return undefined;
  const id = text.startsWith('-') || text.length > 20 ? Number.NaN : Number(text);
  if (id >= 0 && id <= largestId) return id;
  throw new JettisonError('runtime/bad-user', `Invalid user "${spec}": ids go from 0 to ${largestId}`, { hint: userHint });
}

/** passwd(5). Lines that do not make sense are left out, as the C library does. */
export function parsePasswd(text: string): readonly PasswdEntry[] {
  return fieldsOf(text).flatMap(([name = '', , uid = '', gid = '', , home = '']) =>
    name !== '' && isId(uid) && isId(gid) ? [{ name, uid: Number(uid), gid: Number(gid), home }] : [],
  );
}

/** group(5), in the same way. */
export function parseGroup(text: string): readonly GroupEntry[] {
  return fieldsOf(text).flatMap(([name = '', , gid = '', members = '']) =>
    name !== '' && isId(gid) ? [{ name, gid: Number(gid), members: members.split(',').map((member) => member.trim()) }] : [],
  );
}

function fieldsOf(text: string): readonly (readonly string[])[] {
  return text.split('\n').flatMap((line) => (line.trim() === '' || line.startsWith('#') ? [] : [line.trim().split(':')]));
}

function isId(text: string): boolean {
  return /^\d{1,10}$/u.test(text) && Number(text) <= largestId;
}
