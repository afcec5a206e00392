/** What an address that stands for a build context means. */
import type { SourceGitOp, SourceHttpOp } from '#formats/graph/op.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { gitOp, parseGitAddress } from '#languages/frontend/git-address.ts';

/** The name of a downloaded file where an address stands for a context, as in BuildKit. */
export const contextFile = 'context';

/** Does it name something elsewhere? Throws `frontend/bad-git-address`. */
export function isRemoteAddress(text: string): boolean {
  return isWebAddress(text) || parseGitAddress(text, { isContext: true }) !== undefined;
}

export function isWebAddress(text: string): boolean {
  return /^https?:\/\//iu.test(text);
}

/** Throws `frontend/bad-git-address`, `engine/bad-address`. */
export function remoteOp(address: string, { keepGitFolder }: { readonly keepGitFolder: boolean }): SourceGitOp | SourceHttpOp {
  const git = parseGitAddress(address, { isContext: true });
  return git === undefined ? webOp(address) : gitOp(git, { keepGitFolder });
}

/** Throws `engine/bad-address`. */
export function webOp(address: string): SourceHttpOp {
  if (URL.canParse(address)) return { kind: 'source-http', url: address, name: contextFile, checksum: null };
  throw new JettisonError('engine/bad-address', `Cannot read the address "${address.slice(0, 200)}"`, { hint: 'Write https://HOST/PATH' });
}
