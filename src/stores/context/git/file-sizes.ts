/** How much a commit would write: a repository of a few kilobytes can hold the same large file a billion times. */
import { childSignal } from '#ground/base/abort.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { runGit, type GitCommand } from './command.ts';
import { tooLarge, type GitLimits } from './network.ts';

export type MeasuredCommit = {
  readonly commit: string;
  /** For messages. */
  readonly address: string;
  /** Of the bare repository. */
  readonly folder: string;
  readonly environment: GitCommand['environment'];
  readonly limits: Pick<GitLimits, 'largest'>;
};

const mostFiles = 10_000_000;

/** Throws `context/git-too-large` when the commit's files are too many, or too long together. */
export async function checkFileSizes(measured: MeasuredCommit, signal: AbortSignal): Promise<void> {
  const { commit, address, folder, environment, limits } = measured;
  using own = childSignal(signal);
  const decoder = new TextDecoder('latin1');
  let [rest, files, bytes] = ['', 0, 0];
  const onStdout = (chunk: Uint8Array): void => {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\0');
    rest = lines.pop() ?? '';
    files += lines.length;
    for (const line of lines) bytes += Number(/^\d+ blob [\da-f]+ +(\d+)\t/u.exec(line)?.[1] ?? 0);
    if (bytes > limits.largest) own.abort(tooLarge(address, limits, 'its files together'));
    if (files > mostFiles) own.abort(tooMany(address));
  };
  await runGit({ arguments: [`--git-dir=${folder}`, 'ls-tree', '-r', '-l', '-z', commit], environment, onStdout }, own.signal);
}

function tooMany(address: string): JettisonError {
  return new JettisonError('context/git-too-large', `Git failed: "${address}" has more than ${mostFiles} files`, {
    fault: 'environment',
    hint: 'Fetch what is needed of it with a program of your own, and give the files as a folder',
  });
}
