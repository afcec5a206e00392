/** Single files of a client's folder: Dockerfile and ignore file. */
import { fromText, toText } from '#ground/base/byte-string.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { openLocalContext } from './local.ts';

/**
 * All bytes of a regular file at `path` inside `folder`; undefined when nothing is there. Links are followed inside the folder, which is
 * their root: none leads out. Never waits on a fifo.
 * Throws `context/broken-link`, `linux/not-a-file`, `linux/too-large` beyond `limit` bytes, `linux/symlink-loop`, `context/not-found` for the folder.
 */
export function readContextFile(folder: string, path: string, limit: number): Uint8Array | undefined {
  const context = openLocalContext({ folder, ignore: [] });
  const name = fromText(path);
  const { path: real, entry } = context.resolve(name, true);
  if (entry !== undefined) return context.readFile(entry, limit);
  if (context.resolve(name, false).entry === undefined) return undefined;
  throw new JettisonError('context/broken-link', `"${path}" links to "${toText(real)}", which is not in "${folder}"`, {
    hint: 'Links are followed inside that folder only: put the file itself there',
  });
}
