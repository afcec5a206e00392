/** Git repositories served over HTTP on the loopback by git's own `git http-backend` (the CGI protocol, RFC 3875), so that fetching is as from a real host. */
import { execFileSync, spawn } from 'node:child_process';
import { appendFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { serve, type WebServer } from './web.ts';

/** Runs git in `folder` as a person who has no settings; gives what it printed, without the newline at its end. */
export function git(folder: string, ...words: readonly string[]): string {
  return execFileSync('git', words, {
    cwd: folder,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...authorship },
  }).trim();
}

const authorship = {
  HOME: '/nonexistent',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_AUTHOR_NAME: 'a',
  GIT_AUTHOR_EMAIL: 'a@example.com',
  GIT_AUTHOR_DATE: '2020-01-02T03:04:05Z',
  GIT_COMMITTER_NAME: 'a',
  GIT_COMMITTER_EMAIL: 'a@example.com',
  GIT_COMMITTER_DATE: '2020-01-02T03:04:05Z',
};

/** A repository `folder`, which is made, with the branch `main` and nothing in it. */
export function makeRepository(folder: string): void {
  mkdirSync(folder, { recursive: true });
  git(folder, 'init', '--quiet', '--initial-branch=main');
}

/** Everything in the folder becomes a commit; gives its hash. */
export function commitAll(folder: string, message = 'one'): string {
  git(folder, 'add', '--all', '--force');
  git(folder, 'commit', '--quiet', '--allow-empty', '--message', message);
  return git(folder, 'rev-parse', 'HEAD');
}

/** Puts the submodule `name` with the address `url` at `commit` into the index of `folder`, without fetching it. */
export function addSubmodule(
  folder: string,
  { name, url, commit }: { readonly name: string; readonly url: string; readonly commit: string },
): void {
  appendFileSync(join(folder, '.gitmodules'), `[submodule "${name}"]\n\tpath = ${name}\n\turl = ${url}\n`);
  git(folder, 'add', '.gitmodules');
  mkdirSync(join(folder, name));
  git(folder, 'update-index', '--add', '--cacheinfo', `160000,${commit},${name}`);
  git(folder, 'commit', '--quiet', '--message', 'submodule');
}

export type GitServer = WebServer & {
  /** Requests for one path, `/info/refs` or `/git-upload-pack`, so far. */
  count(path: string): number;
};

/**
 * Serves the repositories below `root`: `name/.git` as `http://HOST/name.git`. `guard` can answer a request itself, and then gives true.
 * Whoever runs git against it must not block this process.
 */
export async function serveGit(root: string, guard?: (request: IncomingMessage, response: ServerResponse) => boolean): Promise<GitServer> {
  const server = await serve((request, response) => {
    if (guard?.(request, response) === true) return;
    runBackend(root, request, response);
  });
  return {
    ...server,
    seen: server.seen,
    count: (path) => server.seen.filter(({ url = '' }) => url.includes(path)).length,
    [Symbol.asyncDispose]: async () => await server[Symbol.asyncDispose](),
  };
}

function runBackend(root: string, request: IncomingMessage, response: ServerResponse): void {
  const { pathname, search } = new URL(request.url ?? '/', 'http://localhost');
  const [, name = '', rest = ''] = /^\/([\w.-]+)\.git(\/.*)$/u.exec(pathname) ?? [];
  const child = spawn('git', ['http-backend'], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: {
      PATH: process.env['PATH'],
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_HTTP_EXPORT_ALL: '1',
      GIT_PROJECT_ROOT: join(root, name),
      PATH_INFO: `/.git${rest}`,
      QUERY_STRING: search.slice(1),
      REQUEST_METHOD: request.method,
      CONTENT_TYPE: request.headers['content-type'] ?? '',
      HTTP_CONTENT_ENCODING: request.headers['content-encoding'] ?? '',
      GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
    },
  });
  request.pipe(child.stdin);
  child.stdin.on('error', () => undefined);
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.on('close', () => {
    const all = Buffer.concat(chunks);
    const end = all.indexOf('\r\n\r\n');
    const headers = new Map(
      all
        .subarray(0, Math.max(end, 0))
        .toString()
        .split('\r\n')
        .map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()] as const),
    );
    const status = Number.parseInt(headers.get('status') ?? (end < 0 ? '500' : '200'), 10);
    headers.delete('status');
    response.writeHead(status, Object.fromEntries(headers)).end(all.subarray(end + 4));
  });
}
