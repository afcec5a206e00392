/** Files from the web and from Git repositories for one build; nothing is loaded or opened before the first. */
import { join } from 'node:path';
import type { SourceGitOp, SourceHttpOp } from '#formats/graph/op.ts';
import type { Digest } from '#ground/base/digest.ts';
import type { GitCommit, GitSources } from '#stores/context/git.ts';
import type { Downloads } from '#stores/context/http.ts';
import type { SshAgent } from '#stores/ssh/agent.ts';
import { ownFolder } from './context-folders.ts';
import type { Engine } from './open.ts';
import type { BuildRequest } from './build-requests.ts';
import { readSecrets, type Secrets } from './secrets.ts';
import { openSshAgents } from './ssh.ts';
import { version } from './version.ts';

export type RemoteSources = AsyncDisposable & {
  /** The folder that holds the file alone. */
  download(op: SourceHttpOp, signal: AbortSignal): Promise<string>;
  /** What the files of a repository depend on: the commit that its ref names now. */
  gitDigest(op: SourceGitOp, signal: AbortSignal): Promise<Digest>;
  /** The commit that a source's ref names now. */
  gitCommit(op: SourceGitOp, signal: AbortSignal): Promise<GitCommit>;
  /** The files in a folder that goes when it is disposed. */
  checkOut(op: SourceGitOp, signal: AbortSignal): Promise<Disposable & { readonly path: string }>;
  /** The files in a folder that is kept: not to be written to. */
  keep(op: SourceGitOp, signal: AbortSignal): Promise<string>;
};

/** Secrets and keys are read when a server may need them. All functions throw `context/...`. */
export function lazyRemoteSources(engine: Engine, request: BuildRequest): RemoteSources {
  let web: Downloads | undefined;
  let git: GitSources | undefined;
  let secrets: Secrets | undefined;
  const options = {
    folder: join(engine.paths.store, 'downloads'),
    userAgent: `jettison/${version}`,
    environment: engine.environment,
    timing: engine.network,
    onWait: engine.waits.tell,
    now: engine.now,
    secret: (name: string): string | undefined => {
      secrets ??= readSecrets(request.secrets);
      const value = secrets.get(name);
      return value === undefined ? undefined : new TextDecoder().decode(value);
    },
  };
  const openGit = async (): Promise<GitSources> => {
    const { openGitSources } = await import('#stores/context/git.ts');
    git ??= openGitSources({ ...options, agent: async () => await agentFor(engine, request) });
    return git;
  };
  return {
    download: async ({ url, name, checksum }, signal) => {
      engine.hold();
      const { openDownloads } = await import('#stores/context/http.ts');
      web ??= openDownloads(options);
      return await web.fetch({ url, name, checksum: checksum ?? undefined }, signal);
    },
    gitDigest: async (op, signal) => await (await openGit()).digest(op, signal),
    gitCommit: async (op, signal) => await (await openGit()).resolve(op, signal),
    checkOut: async (op, signal) => {
      engine.hold();
      const sources = await openGit();
      using folder = new DisposableStack();
      const { path } = folder.use(ownFolder(engine));
      const found = await sources.checkOut(op, path, signal);
      const kept = folder.move();
      return { path: found, [Symbol.dispose]: () => kept.dispose() };
    },
    keep: async (op, signal) => {
      engine.hold();
      return await (await openGit()).keep(op, signal);
    },
    [Symbol.asyncDispose]: async () => {
      web?.[Symbol.dispose]();
      await git?.[Symbol.asyncDispose]();
    },
  };
}

/** Git uses the agent or the keys of `--ssh default`, as in BuildKit. */
async function agentFor(engine: Engine, { ssh }: BuildRequest): Promise<SshAgent | undefined> {
  const paths = ssh.get('default');
  if (paths === undefined) return undefined;
  const agents = await openSshAgents(new Map([['default', paths]]), engine.environment['SSH_AUTH_SOCK']);
  return agents.get('default');
}
