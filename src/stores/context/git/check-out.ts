/** The files of a commit as a folder, the same wherever and whenever it is made. */
import { chmodSync, lstatSync, lutimesSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { asByteString, fromText, nodePath } from '#ground/base/byte-string.ts';
import { isCode, JettisonError } from '#ground/base/errors.ts';
import type { GitCommit, GitSource } from '../git.ts';
import { runGit, type GitCommand } from './command.ts';
import { shownRemote, type Access } from './remote.ts';
import type { Repository } from './repository.ts';
import { checkFileSizes } from './file-sizes.ts';
import type { GitLimits } from './network.ts';

export type CheckOut = {
  readonly source: GitSource;
  readonly found: GitCommit;
  readonly repository: Repository;
  readonly environment: GitCommand['environment'];
  readonly findAccess: () => Promise<Access>;
  readonly limits: GitLimits;
};

/** Fills `folder`, which is made, with all of the repository: its subfolder is for `subfolderOf`. Throws `context/git-failed`. */
export async function checkOut(what: CheckOut, folder: string, signal: AbortSignal): Promise<void> {
  const { source, found, repository } = what;
  const [commit = '', seconds = ''] = (await repository.git(['log', '-1', '--format=%H %ct', found.object, '--'])).trim().split(' ');
  const { environment, limits } = what;
  await checkFileSizes({ commit, address: shownRemote(source.remote), folder: repository.folder, environment, limits }, signal);
  mkdirSync(folder, { mode: 0o755 });
  const hasSubmodules = source.submodules && (await repository.git(['ls-tree', '--name-only', commit, '--', '.gitmodules'])) !== '';
  const keeps = keepsGitFolder(source);
  if (keeps || hasSubmodules) await checkOutWithGitFolder(what, { folder, commit, hasSubmodules }, signal);
  else {
    const index = `${folder}.index`;
    await repository.git([`--work-tree=${folder}`, 'read-tree', '--reset', '-u', commit], { folder, variables: { GIT_INDEX_FILE: index } });
    rmSync(index, { force: true });
  }
  normalise(folder, { keeps, time: source.times === 'commit' ? Number(seconds) : undefined });
}

/** With a subfolder `.git` goes, as in BuildKit. */
export function keepsGitFolder({ keepGitFolder, subfolder }: GitSource): boolean {
  return keepGitFolder && subfolder === '';
}

/** The subfolder of a source in a folder from `checkOut`: real folders all the way, no links. Throws `context/git-no-folder`. */
export function subfolderOf({ subfolder }: GitSource, folder: string): string {
  let path = folder;
  for (const part of subfolder === '' ? [] : subfolder.split('/')) {
    path = join(path, part);
    if (part !== '.git' && lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true) continue;
    throw new JettisonError('context/git-no-folder', `There is no folder "${subfolder}" in the Git repository`, {
      hint: 'Name a folder after "#REF:"; links are not followed',
    });
  }
  return path;
}

type Place = { readonly folder: string; readonly commit: string; readonly hasSubmodules: boolean };

async function checkOutWithGitFolder(what: CheckOut, { folder, commit, hasSubmodules }: Place, signal: AbortSignal): Promise<void> {
  const { source, found, repository, environment } = what;
  const git = async (words: readonly string[], how: Partial<GitCommand> = {}): Promise<string> =>
    await runGit({ environment, folder, ...how, arguments: words }, signal);
  const format = commit.length === 64 ? 'sha256' : 'sha1';
  await git(['init', '--quiet', `--object-format=${format}`, '.']);
  if (keepsGitFolder(source)) {
    const target = found.ref === undefined || found.ref === '' ? '' : `:${found.ref}`;
    const words = ['fetch', '--quiet', '--update-head-ok', '--depth=1', '--no-tags', '--no-write-fetch-head', '--no-recurse-submodules'];
    await git([...words, '--', `file://${repository.folder}`, `+${found.object}${target}`], { transports: 'file' });
  } else writeFileSync(join(folder, '.git/objects/info/alternates'), `${repository.folder}/objects\n`);
  await git(['remote', 'add', 'origin', shownRemote(source.remote)]);
  await git(['checkout', '--quiet', '--detach', '--force', commit, '--']);
  if (hasSubmodules) await addSubmodules(git, folder, await what.findAccess());
  // An index without times and inodes of this machine.
  rmSync(join(folder, '.git/index'), { force: true });
  await git(['read-tree', commit]);
  rmSync(join(folder, '.git/logs'), { recursive: true, force: true });
}

/** What a repository says of its submodules cannot name programs (git takes none from it) or other transports. */
async function addSubmodules(
  git: Repository['git'],
  folder: string,
  { settings, transports, network, variables = {} }: Access,
): Promise<void> {
  const how = { settings, transports, variables, network: { ...network, folder } };
  const words = ['submodule', '--quiet', 'update', '--init', '--recursive', '--jobs=4'];
  try {
    await git([...words, '--depth=1'], how);
  } catch (error) {
    if (!isCode(error, 'context/git-failed') || !/depth|shallow|not our ref|unadvertised|did not contain/u.test(error.message)) throw error;
    await git(words, how);
  }
}

/**
 * Modes do not depend on the umask, nor times on when it was done. `.git` below the root can only be ours (git keeps it out of
 * repositories): unless it is kept it goes, and so do those of submodules.
 */
function normalise(root: string, { keeps, time }: { readonly keeps: boolean; readonly time: number | undefined }): void {
  const folders = [fromText(root)];
  // A folder's time is set when nothing in it is removed any more; those that are found on the way are looked at in turn.
  for (const folder of folders) {
    for (const name of readdirSync(nodePath(folder), 'latin1')) {
      const path = asByteString(`${folder}/${name}`);
      const stats = lstatSync(nodePath(path));
      if (name === '.git' && !keeps) rmSync(nodePath(path), { recursive: true, force: true });
      else if (stats.isDirectory()) folders.push(path);
      else {
        if (!stats.isSymbolicLink()) chmodSync(nodePath(path), modeFor(stats.mode));
        if (time !== undefined) lutimesSync(nodePath(path), time, time);
      }
    }
    chmodSync(nodePath(folder), 0o755);
    if (time !== undefined) lutimesSync(nodePath(folder), time, time);
  }
}

/** Everybody may read what the owner may; objects in `.git` stay as they are: not to be written. */
function modeFor(mode: number): number {
  const own = mode & 0o700;
  return own | ((own & 0o500) >> 3) | ((own & 0o500) >> 6);
}
