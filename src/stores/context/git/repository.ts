/** A bare repository in the store that holds what was fetched from one address. Who works with it holds its lock. */
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { isCode, JettisonError } from '#ground/base/errors.ts';
import { tryLockFile, type FileLock } from '#ground/linux/lock-file.ts';
import { runGit, type GitCommand } from './command.ts';
import type { Access } from './remote.ts';

export type Repository = {
  /** Absolute. */
  readonly folder: string;
  /** Runs git in it. */
  readonly git: (words: readonly string[], how?: Partial<GitCommand>) => Promise<string>;
};

/** Waits for another process that works with the same repository. */
export async function lockRepository(place: string, signal: AbortSignal): Promise<FileLock> {
  for (let pause = 10; ; pause = Math.min(pause * 2, 500)) {
    mkdirSync(place, { recursive: true, mode: 0o700 });
    const lock = tryLockFile(join(place, 'lock'), { exclusive: true, wait: false });
    if (lock !== undefined) return lock;
    await setTimeout(pause, undefined, { signal });
  }
}

/** Made when missing. `hash` says by its length of which kind the hashes are. What killed builds left is cleared up. */
export async function openRepository(
  place: string,
  { hash, environment }: { readonly hash: string; readonly environment: GitCommand['environment'] },
  signal: AbortSignal,
): Promise<Repository> {
  const format = hash.length === 64 ? 'sha256' : 'sha1';
  const folder = join(place, `${format}.git`);
  const git: Repository['git'] = async (words, how = {}) =>
    await runGit({ environment, ...how, arguments: [`--git-dir=${folder}`, ...words] }, signal);
  for (const name of readdirSync(place)) if (name.startsWith('draft-')) rmSync(join(place, name), { recursive: true, force: true });
  if (!existsSync(join(folder, 'HEAD'))) {
    rmSync(folder, { recursive: true, force: true });
    await git(['init', '--quiet', '--bare', `--object-format=${format}`]);
  }
  clearUp(folder);
  return { folder, git };
}

/** What a fetch left that did not come to its end. */
function clearUp(folder: string): void {
  rmSync(join(folder, 'shallow.lock'), { force: true });
  const packs = join(folder, 'objects/pack');
  for (const name of readdirSync(packs)) if (name.startsWith('tmp_')) rmSync(join(packs, name), { force: true });
}

/** Has `object` in the repository with all its files; without its past, if the server can do that. Throws `context/git-no-ref`. */
export async function fetchObject(repository: Repository, object: string, find: () => Promise<Access>): Promise<void> {
  const { git, folder } = repository;
  const isHere = async (): Promise<boolean> => await git(['cat-file', '-e', `${object}^{commit}`]).then(() => true, rejectUnlessFailed);
  const kept = `refs/jettison/${object}`;
  if (await isHere()) return;
  const { url, ...access } = await find();
  const how = { ...access, network: { ...access.network, folder: join(folder, 'objects'), clearUp: () => clearUp(folder) } };
  const fetch = ['fetch', '--quiet', '--no-tags', '--no-write-fetch-head', '--no-recurse-submodules'];
  try {
    await git([...fetch, '--depth=1', '--', url, `+${object}:${kept}`], how);
  } catch (error) {
    if (!isTooNew(error)) throw error;
    const whole = existsSync(join(folder, 'shallow')) ? ['--unshallow'] : [];
    await git([...fetch, ...whole, '--', url, '+refs/heads/*:refs/remote/heads/*', '+refs/tags/*:refs/remote/tags/*'], how);
  }
  if (await isHere()) return;
  throw new JettisonError('context/git-no-ref', `Repository does not contain commit ${object}: "${url}"`, {
    hint: 'Perhaps the branch was moved away from it, or it is only in a fork',
  });
}

function rejectUnlessFailed(error: unknown): false {
  if (isCode(error, 'context/git-failed')) return false;
  throw error;
}

/** An old server hands out the tips of branches only, or cannot leave out the past. */
function isTooNew(error: unknown): boolean {
  return (
    isCode(error, 'context/git-failed') &&
    /not our ref|unadvertised object|Server does not|shallow|--depth|no such remote ref|couldn't find remote ref/u.test(error.message)
  );
}
