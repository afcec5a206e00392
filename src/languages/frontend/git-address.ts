/**
 * Addresses of Git repositories as BuildKit reads them (frontend/dockerfile/dfgitutil): `https://host/r.git#ref:folder`,
 * `https://host/r.git?tag=v1&subdir=folder`, `git://`, `ssh://`, `user@host:r.git`.
 */
import { clean, JettisonError } from '#ground/base/errors.ts';
import type { SourceGitOp } from '#formats/graph/op.ts';

export type GitAddress = Pick<SourceGitOp, 'remote' | 'ref' | 'subfolder' | 'checksum' | 'times'> & {
  /** undefined where the address does not say. */
  readonly keepGitFolder: boolean | undefined;
  readonly submodules: boolean | undefined;
};

const schemes = new Set(['http:', 'https:', 'ssh:', 'git:']);
const scpForm = /^(?<host>[\w-]+@[\w.-]+:)(?<path>[^#?]*)(?:\?(?<query>[^#]*))?(?:#(?<fragment>.*))?$/u;

/**
 * undefined for what is no Git address: a web address is one when its path ends with `.git`. `github.com/user/name` counts as one
 * for a build context only (`isContext`), since in a Dockerfile it can be a path.
 * Throws `frontend/bad-git-address` for one that cannot be used.
 */
export function parseGitAddress(text: string, { isContext }: { readonly isContext: boolean }): GitAddress | undefined {
  const isGithub = isContext && text.startsWith('github.com/');
  if (!isGithub && !text.includes('@') && !text.includes('://')) return undefined;
  const scp = scpForm.exec(text)?.groups;
  if (scp !== undefined) {
    const { host = '', path = '', query = '', fragment = '' } = scp;
    if (path === '') throw bad(text, 'it names no repository');
    return readDetails({ text, remote: checkRemote(text, `${host}${path}`), query, fragment });
  }
  const url = URL.parse(isGithub ? `https://${text}` : text);
  if (url === null || !schemes.has(url.protocol) || !(isGithub || text.includes('://'))) return undefined;
  const isWeb = url.protocol === 'http:' || url.protocol === 'https:';
  if (isWeb && !isGithub && !url.pathname.endsWith('.git')) return undefined;
  const { search, hash } = url;
  url.search = '';
  url.hash = '';
  return readDetails({ text, remote: checkRemote(text, url.href), query: search.slice(1), fragment: decode(text, hash.slice(1)) });
}

/** The op of an address; what the address leaves open is as BuildKit has it: submodules come along, `.git` does not. */
export function gitOp(
  address: GitAddress,
  given: { readonly keepGitFolder?: boolean | undefined; readonly checksum?: string } = {},
): SourceGitOp {
  const { remote, ref, subfolder, times } = address;
  return {
    kind: 'source-git',
    remote,
    ref,
    subfolder,
    checksum: address.checksum || (given.checksum ?? ''),
    keepGitFolder: address.keepGitFolder ?? given.keepGitFolder ?? false,
    submodules: address.submodules ?? true,
    times,
  };
}

/** Is it the beginning of a hash: hexadecimal digits? */
export function isHashPrefix(text: string): boolean {
  return /^[\da-f]{1,64}$/iu.test(text);
}

type Parts = { readonly text: string; readonly remote: string; readonly query: string; readonly fragment: string };

function readDetails({ text, remote, query, fragment }: Parts): GitAddress {
  const colon = fragment.indexOf(':');
  const inFragment = colon < 0 ? { ref: fragment, folder: '' } : { ref: fragment.slice(0, colon), folder: fragment.slice(colon + 1) };
  const values = readQuery(text, query);
  const folder = agree(text, 'subdir', [inFragment.folder, values.get('subdir')]);
  const checksum = agree(text, 'checksum', [values.get('checksum'), values.get('commit')]).toLowerCase();
  if (checksum !== '' && !isHashPrefix(checksum)) throw bad(text, `"${checksum}" is no commit hash`);
  const tag = withPrefix('refs/tags/', values.get('tag'));
  const branch = withPrefix('refs/heads/', values.get('branch'));
  const ref = agree(text, 'ref', [inFragment.ref, values.get('ref'), tag, branch]);
  return {
    remote,
    ref: checkRef(text, ref === '' ? checksum : ref),
    subfolder: cleanFolder(text, folder),
    checksum,
    keepGitFolder: readSwitch(text, 'keep-git-dir', values.get('keep-git-dir')),
    submodules: readSwitch(text, 'submodules', values.get('submodules')),
    times: readTimes(text, values.get('mtime')),
  };
}

const knownKeys = new Set(['ref', 'tag', 'branch', 'subdir', 'checksum', 'commit', 'keep-git-dir', 'submodules', 'mtime']);
const switches = new Set(['keep-git-dir', 'submodules']);

function readQuery(text: string, query: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const [key, value] of new URLSearchParams(query)) {
    if (!knownKeys.has(key)) throw bad(text, `it cannot have "${key}"`, `It can have ${[...knownKeys].join(', ')}`);
    if (values.has(key)) throw bad(text, `"${key}" is there twice`);
    if (value === '' && !switches.has(key)) throw bad(text, `"${key}" has no value`);
    values.set(key, value);
  }
  return values;
}

/** The one value that is given, perhaps several times. */
function agree(text: string, what: string, given: readonly (string | undefined)[]): string {
  const [first = '', second] = [...new Set(given.filter((value) => value !== undefined && value !== ''))];
  if (second !== undefined) throw bad(text, `it has two of "${what}": "${first}" and "${second}"`);
  return first;
}

function withPrefix(prefix: string, value: string | undefined): string | undefined {
  return value === undefined || value.startsWith(prefix) ? value : `${prefix}${value}`;
}

function readSwitch(text: string, key: string, value: string | undefined): boolean | undefined {
  if (value === undefined) return undefined;
  if (value === '' || /^(?:1|t|true)$/iu.test(value)) return true;
  if (/^(?:0|f|false)$/iu.test(value)) return false;
  throw bad(text, `"${key}" is true or false`);
}

function readTimes(text: string, value: string | undefined): GitAddress['times'] {
  if (value === undefined || value === 'commit') return 'commit';
  if (value === 'checkout') return 'checkout';
  throw bad(text, '"mtime" is commit or checkout');
}

/** A host or a path that begins with a dash would be an option of ssh or git. */
function checkRemote(text: string, remote: string): string {
  const [, host = '', path = ''] = /^(?:[a-z]+:\/\/)?(?:[^/@]*@)?([^/:]*)[:/]?(.*)$/u.exec(remote) ?? [];
  if (host === '' || host.startsWith('-') || path.startsWith('-') || remote.startsWith('-') || /[\0-\x20\x7f]/u.test(remote))
    throw bad(text, 'its host or path cannot be used');
  return remote;
}

/** What git itself takes as the name of a ref (git-check-ref-format), and no option. */
function checkRef(text: string, ref: string): string {
  if (/^[-/]|[\0-\x20\x7f~^:?*[\\]|\.\.|@\{|\/\/|\/\.|[./]$|\.lock(?:\/|$)/u.test(ref) || ref.length > 1000)
    throw bad(text, `"${ref.slice(0, 100)}" cannot be the name of a branch, a tag or a commit`);
  return ref;
}

/** `..` stops at the root of the repository, as in BuildKit. */
function cleanFolder(text: string, folder: string): string {
  if (folder.includes('\0')) throw bad(text, 'the name of its folder cannot be used');
  const parts: string[] = [];
  for (const part of folder.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return parts.join('/');
}

function decode(text: string, part: string): string {
  try {
    return decodeURIComponent(part);
  } catch (error) {
    if (error instanceof URIError) throw bad(text, 'what follows "#" is badly encoded');
    throw error;
  }
}

function bad(text: string, why: string, hint?: string): JettisonError {
  return new JettisonError('frontend/bad-git-address', `Cannot use the Git address "${clean(text).slice(0, 300)}": ${why}`, {
    hint: hint ?? 'Write https://host/name.git#REF:FOLDER',
  });
}
