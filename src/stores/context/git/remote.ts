/** A Git server: how it is reached and with which credentials, and what its refs name. */
import { JettisonError } from '#ground/base/errors.ts';
import type { Transport } from '#stores/registry/transport.ts';
import type { GitCommit } from '../git.ts';
import { headerSecret } from '../header-secret.ts';
import { explainDownload, takeCredentials } from '../http.ts';
import type { SshAccess } from './ssh.ts';
import { runGit, type GitCommand, type GitSettings } from './command.ts';
import type { GitLimits, GitNetwork } from './network.ts';

/** How to reach a repository. */
export type Access = {
  /** Without user and password. */
  readonly url: string;
  readonly settings: GitSettings;
  readonly variables?: Readonly<Record<string, string>>;
  readonly transports: string;
  readonly network: GitNetwork;
};

export type AccessDeps = {
  /** The value of a secret of the build. */
  readonly secret: (name: string) => string | undefined;
  readonly transport: Transport;
  /** undefined when no keys were handed out. */
  readonly ssh: () => Promise<SshAccess | undefined>;
  readonly limits: GitLimits;
};

const transports = 'http:https:git';

/** The address as it may be shown and kept: without a password. */
export function shownRemote(remote: string): string {
  const url = webUrl(remote);
  if (url === undefined) return remote;
  takeCredentials(url);
  return url.href;
}

/**
 * Git would hand an Authorization header on to wherever the server's first answer redirects to. So with credentials the redirects are
 * followed here, and git follows none. Throws `context/git-needs-ssh`, `context/bad-secret`, `context/download-failed`.
 */
export async function findAccess(remote: string, deps: AccessDeps, signal: AbortSignal): Promise<Access> {
  const network: GitNetwork = { limits: deps.limits, address: shownRemote(remote) };
  const url = webUrl(remote);
  if (url === undefined) {
    if (remote.startsWith('git://')) return { url: remote, settings: {}, transports, network };
    const ssh = await deps.ssh();
    if (ssh === undefined) throw withoutKeys(remote);
    return { url: remote, settings: {}, transports: `${transports}:ssh`, variables: ssh.variables, network };
  }
  const own = takeCredentials(url);
  const authorization = authorizationFor(url.host, deps.secret) ?? own;
  if (authorization === undefined) return { url: url.href, settings: {}, transports, network };
  const reached = await followRedirects(url, authorization, deps.transport, signal);
  if (reached.origin !== url.origin) return { url: reached.href, settings: {}, transports, network };
  const scope = scopeOf(reached.href);
  const header = { [`http.${scope}.extraHeader`]: `Authorization: ${authorization}`, [`http.${scope}.followRedirects`]: 'false' };
  return { url: reached.href, settings: header, transports, network };
}

function webUrl(remote: string): URL | undefined {
  return /^https?:\/\//u.test(remote) ? new URL(remote) : undefined;
}

function withoutKeys(remote: string): JettisonError {
  return new JettisonError('context/git-needs-ssh', `Git over SSH needs keys, and none were given: "${remote}"`, {
    hint: 'Give those of your ssh-agent: --ssh default',
  });
}

/** BuildKit's names, those of the host first. A token is the password of any user. */
function authorizationFor(host: string, secret: AccessDeps['secret']): string | undefined {
  for (const suffix of [`.${host}`, '']) {
    const header = headerSecret(`GIT_AUTH_HEADER${suffix}`, secret);
    if (header !== undefined) return header;
    const token = headerSecret(`GIT_AUTH_TOKEN${suffix}`, secret);
    if (token !== undefined) return `basic ${btoa(`x-access-token:${token}`)}`;
  }
  return undefined;
}

/** On github.com the token counts for submodules, too, as in BuildKit. */
function scopeOf(url: string): string {
  return ['https://github.com/', 'https://www.github.com/'].find((start) => url.startsWith(start)) ?? url;
}

const refsPath = '/info/refs';

/** Where the repository really is, asked as git asks first. What the server thinks of the credentials git will find out. */
async function followRedirects(url: URL, authorization: string, transport: Transport, signal: AbortSignal): Promise<URL> {
  const asked = new URL(url);
  asked.pathname += refsPath;
  asked.search = '?service=git-upload-pack';
  const request = { method: 'GET', url: asked, headers: { accept: '*/*', 'git-protocol': 'version=2' }, authorization } as const;
  using answer = await transport
    .persist(async () => await transport.send(request, signal), signal)
    .catch((error: unknown) => {
      throw explainDownload(error);
    });
  const reached = new URL(answer.url);
  if (!reached.pathname.endsWith(refsPath)) return url;
  reached.pathname = reached.pathname.slice(0, -refsPath.length);
  reached.search = '';
  return reached;
}

type Asking = { readonly access: Access; readonly environment: GitCommand['environment'] };

/** What a ref names now. A whole hash names itself, and nobody is asked. Throws `context/git-no-ref`, and what git says. */
export async function resolveRef(ref: string, find: () => Promise<Asking>, signal: AbortSignal): Promise<GitCommit> {
  if (isWholeHash(ref)) return { object: ref.toLowerCase(), commit: undefined, ref: undefined };
  return await askForRef(ref, await find(), signal);
}

/** Throws `context/git-mismatch` when neither the commit nor its tag is the one that is wanted. */
export function checkHash({ object, commit }: GitCommit, checksum: string): void {
  const hashes = commit === undefined ? [object] : [object, commit];
  if (hashes.some((hash) => hash.startsWith(checksum))) return;
  throw new JettisonError('context/git-mismatch', `Expected checksum to match ${checksum}, got ${hashes.join(' or ')}`, {
    hint: 'If the repository was changed on purpose, change the checksum, too',
  });
}

async function askForRef(ref: string, { access, environment }: Asking, signal: AbortSignal): Promise<GitCommit> {
  const wanted = ref === '' ? ['HEAD'] : [ref, `${ref}^{}`];
  const { settings, variables = {}, transports: allowed, network } = access;
  const words = ['ls-remote', '--symref', '--', access.url, ...wanted];
  const found = parseRefs(await runGit({ arguments: words, environment, settings, variables, transports: allowed, network }, signal));
  const head = found.heads.get('HEAD');
  for (const name of ref === ''
    ? [head ?? 'HEAD', 'HEAD']
    : [`refs/${ref.replace(/^refs\//u, '')}`, `refs/heads/${ref}`, `refs/tags/${ref}`]) {
    const object = found.hashes.get(name);
    if (object !== undefined) return { object, commit: found.hashes.get(`${name}^{}`), ref: name === 'HEAD' ? head : name };
  }
  throw new JettisonError('context/git-no-ref', `Repository does not contain ref ${ref === '' ? 'HEAD' : ref}: "${access.url}"`, {
    hint: ref === '' ? 'It has no default branch: name one after "#"' : 'Name a branch, a tag or a whole commit hash after "#"',
  });
}

/** What `git ls-remote --symref` prints. */
function parseRefs(text: string) {
  const hashes = new Map<string, string>();
  const heads = new Map<string, string>();
  for (const line of text.split('\n')) {
    const tab = line.indexOf('\t');
    const [before, name] = [line.slice(0, Math.max(tab, 0)), line.slice(tab + 1)];
    if (before.startsWith('ref: ')) heads.set(name, before.slice('ref: '.length));
    else if (isWholeHash(before)) hashes.set(name, before);
  }
  // The default branch is not among the answers to a question for HEAD alone.
  const [head, hash] = [heads.get('HEAD'), hashes.get('HEAD')];
  if (head !== undefined && hash !== undefined) hashes.set(head, hash);
  return { hashes, heads };
}

export function isWholeHash(text: string): boolean {
  return /^(?:[\da-f]{40}|[\da-f]{64})$/iu.test(text);
}
