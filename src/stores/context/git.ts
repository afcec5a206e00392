/**
 * Files of Git repositories, by the program git. What was fetched from an address is kept in a bare repository, so that the same commit
 * is fetched once; which commit a name stands for is asked each time.
 */
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { bootId } from '#ground/base/boot.ts';
import { canonicalJson } from '#ground/base/canonical-json.ts';
import { digestOf, hexOf, type Digest } from '#ground/base/digest.ts';
import { createTransport, type TransportOptions } from '#stores/registry/transport.ts';
import { checkOut, keepsGitFolder, subfolderOf } from './git/check-out.ts';
import { checkHash, findAccess, resolveRef, shownRemote, type Access } from './git/remote.ts';
import { defaultGitLimits, type GitLimits } from './git/network.ts';
import { measureGit, noteGitUse } from './git/note.ts';
import { openSshAccess, type GitAgent, type SshAccess } from './git/ssh.ts';
import { fetchObject, lockRepository, openRepository } from './git/repository.ts';

export type GitSource = {
  /** `https://host/r.git`, `git://host/r`; may hold user and password. */
  readonly remote: string;
  /** A branch, a tag, a name that begins with `refs/`, or a whole hash; '' for the default branch. */
  readonly ref: string;
  /** Relative and clean; '' for all. */
  readonly subfolder: string;
  /** In lower case: how the hash of the commit or its annotated tag must begin; '' for any. */
  readonly checksum: string;
  readonly keepGitFolder: boolean;
  readonly submodules: boolean;
  /** When files were modified: at the time of the commit, or when they were written here. */
  readonly times: 'commit' | 'checkout';
};

/** What a ref names. */
export type GitCommit = {
  /** Hash of a commit, or of an annotated tag. */
  readonly object: string;
  /** The commit behind an annotated tag. */
  readonly commit: string | undefined;
  /** The ref's full name, where it is known. */
  readonly ref: string | undefined;
};

export type GitSources = AsyncDisposable & {
  /** Asks the server once for each ref. Throws `context/git-...`, `context/no-git`. */
  resolve(source: GitSource, signal: AbortSignal): Promise<GitCommit>;
  /** What all files of a source depend on. Throws like `resolve`. */
  digest(source: GitSource, signal: AbortSignal): Promise<Digest>;
  /** Writes the repository's files to `folder` (absolute, not there yet) and gives the path of the source's subfolder in it. */
  checkOut(source: GitSource, folder: string, signal: AbortSignal): Promise<string>;
  /** The same in a folder that is kept, for a source that many builds read: not to be written to. */
  keep(source: GitSource, signal: AbortSignal): Promise<string>;
};

export type GitOptions = {
  /** Where downloads are kept; made when missing. */
  readonly folder: string;
  readonly userAgent: string;
  /** For the path of programs, and the names of proxies and certificates. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** A secret of the build: `GIT_AUTH_TOKEN`, `GIT_AUTH_HEADER`, each also with `.HOST`. */
  readonly secret: (name: string) => string | undefined;
  /** The keys that git may use over SSH; undefined when none were handed out. */
  readonly agent: () => Promise<GitAgent | undefined>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Bytes that a repository may take up, and its files. */
  readonly largest?: number;
} & Pick<TransportOptions, 'timing' | 'onWait'>;

export function openGitSources(options: GitOptions): GitSources {
  const { environment, secret, folder: downloads, now, timing, onWait } = options;
  const userAgent = `git/2 (${options.userAgent})`;
  const transport = createTransport({ userAgent, environment, onWait, ...(timing === undefined ? {} : { timing }) });
  const limits = limitsOf(options);
  const accesses = new Map<string, Promise<Access>>();
  const commits = new Map<string, Promise<GitCommit>>();

  const opened = new AsyncDisposableStack();
  opened.use(transport);
  let ssh: Promise<SshAccess | undefined> | undefined;
  const openSsh = async (signal: AbortSignal): Promise<SshAccess | undefined> => {
    const agent = await options.agent();
    return agent === undefined ? undefined : opened.use(await openSshAccess(agent, environment, signal));
  };
  const accessTo = async (remote: string, signal: AbortSignal): Promise<Access> =>
    await once(
      accesses,
      remote,
      async () => await findAccess(remote, { secret, transport, limits, ssh: async () => await (ssh ??= openSsh(signal)) }, signal),
    );
  const resolve: GitSources['resolve'] = async ({ remote, ref, checksum }, signal) => {
    const ask = async () => ({ access: await accessTo(remote, signal), environment });
    const found = await once(commits, canonicalJson([remote, ref]), async () => await resolveRef(ref, ask, signal));
    checkHash(found, checksum);
    return found;
  };
  const write = async (source: GitSource, target: (place: string, found: GitCommit) => string, signal: AbortSignal): Promise<string> => {
    const found = await resolve(source, signal);
    const place = join(downloads, placeOf(source.remote));
    using lock = await lockRepository(place, signal);
    noteGitUse(dirname(lock.path), shownRemote(source.remote), now());
    const folder = target(place, found);
    if (existsSync(folder)) return subfolderOf(source, folder);
    const repository = await openRepository(place, { hash: found.object, environment }, signal);
    const access = async (): Promise<Access> => await accessTo(source.remote, signal);
    await fetchObject(repository, found.object, access);
    const draft = join(place, `draft-${randomUUID()}`);
    try {
      mkdirSync(draft, { mode: 0o700 });
      await checkOut({ source, found, repository, environment, limits, findAccess: access }, join(draft, 'tree'), signal);
      renameSync(join(draft, 'tree'), folder);
    } finally {
      rmSync(draft, { recursive: true, force: true });
    }
    measureGit(place, shownRemote(source.remote), now());
    return subfolderOf(source, folder);
  };

  return {
    resolve,
    digest: async (source, signal) =>
      digestOf(canonicalJson({ ...identity(source, await resolve(source, signal)), subfolder: source.subfolder })),
    checkOut: async (source, folder, signal) => await write(source, () => folder, signal),
    keep: async (source, signal) => {
      const nameOf = (found: GitCommit): string => hexOf(digestOf(canonicalJson(identity(source, found)))).slice(0, 32);
      const target = (place: string, found: GitCommit): string => {
        const trees = join(place, 'trees');
        mkdirSync(trees, { recursive: true, mode: 0o700 });
        forgetOtherBoots(trees);
        return join(trees, bootPrefix() + nameOf(found));
      };
      return await write(source, target, signal);
    },
    [Symbol.asyncDispose]: async () => await opened.disposeAsync(),
  };
}

function limitsOf({ timing = {}, onWait, largest }: GitOptions): GitLimits {
  const { idle, tries, firstPause } = timing;
  return {
    ...defaultGitLimits,
    ...(idle === undefined ? {} : { idle }),
    ...(tries === undefined ? {} : { tries }),
    ...(firstPause === undefined ? {} : { firstPause }),
    ...(onWait === undefined ? {} : { onWait }),
    ...(largest === undefined ? {} : { largest }),
  };
}

/** The folder below `downloads` for what comes from an address, whoever asks for it. */
function placeOf(remote: string): string {
  return `git-${hexOf(digestOf(shownRemote(remote))).slice(0, 32)}`;
}

/** Git makes safe on disk what it keeps of a repository, but not the files of a tree: those of another boot may have lost bytes, and are written again. The lock is held. */
function forgetOtherBoots(trees: string): void {
  for (const name of readdirSync(trees)) if (!name.startsWith(bootPrefix())) rmSync(join(trees, name), { recursive: true, force: true });
}

function bootPrefix(): string {
  return `${bootId().slice(0, 8)}-`;
}

/** What decides how the files of the whole repository look. What is kept of `.git` depends on names, too. */
function identity(source: GitSource, { object, commit, ref }: GitCommit) {
  const { submodules, times } = source;
  if (!keepsGitFolder(source)) return { git: commit ?? object, submodules, times };
  return { git: object, submodules, times, ref: ref ?? '', remote: shownRemote(source.remote) };
}

/** What failed is forgotten: it may have been cancelled with an attempt at the build, and the next attempt asks again. */
async function once<T>(known: Map<string, Promise<T>>, key: string, task: () => Promise<T>): Promise<T> {
  const running = known.get(key) ?? task();
  known.set(key, running);
  try {
    return await running;
  } catch (error) {
    if (known.get(key) === running) known.delete(key);
    throw error;
  }
}
