/** What git says of a folder of the client: which commit its work tree stands at, and where that came from. */
import { existsSync, realpathSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { JettisonError } from '#ground/base/errors.ts';
import { runGit } from './git/command.ts';

export type WorkTree = {
  /** The folder in the work tree; `.` for its root. */
  readonly folder: string;
  /** Hash of the commit, with `-dirty` where it was looked for changes and there are some; undefined before the first commit. */
  readonly revision: string | undefined;
  /** Address of the remote that the branch follows, else of `origin`. May hold a password. */
  readonly source: string | undefined;
};

export type WorkTreeWish = { readonly environment: Readonly<Record<string, string | undefined>>; readonly looksForChanges: boolean };

/** undefined for a folder that is in no work tree, and where git is missing or refuses to read it (another user's). */
export async function readWorkTree(
  folder: string,
  { environment, looksForChanges }: WorkTreeWish,
  signal: AbortSignal,
): Promise<WorkTree | undefined> {
  const real = realpathSync(folder);
  if (!hasRepository(real)) return undefined;
  const ask = async (...words: readonly string[]): Promise<string | undefined> => {
    try {
      return (await runGit({ arguments: words, environment, folder: real }, signal)).trim();
    } catch (error) {
      if (error instanceof JettisonError && ['context/git-failed', 'context/no-git'].includes(error.code)) return undefined;
      throw error;
    }
  };
  const root = await ask('rev-parse', '--show-toplevel');
  if (root === undefined || root === '') return undefined;
  const commit = await ask('rev-parse', '--verify', '--quiet', 'HEAD');
  const changes = looksForChanges && commit !== undefined ? await ask('status', '--porcelain', '--ignored=no') : undefined;
  return {
    folder: relative(root, real) || '.',
    revision: commit === undefined ? undefined : `${commit}${changes === undefined || changes === '' ? '' : '-dirty'}`,
    source: await remoteOf(ask),
  };
}

async function remoteOf(ask: (...words: readonly string[]) => Promise<string | undefined>): Promise<string | undefined> {
  const branch = await ask('symbolic-ref', '--short', '--quiet', 'HEAD');
  const followed = branch === undefined || branch === '' ? undefined : await ask('config', '--get', `branch.${branch}.remote`);
  const address = await ask('config', '--get', `remote.${followed === undefined || followed === '' ? 'origin' : followed}.url`);
  return address === '' ? undefined : address;
}

/** Before a process is started for it. */
function hasRepository(folder: string): boolean {
  for (let at = folder; ; at = dirname(at)) {
    if (existsSync(join(at, '.git'))) return true;
    if (at === dirname(at)) return false;
  }
}
