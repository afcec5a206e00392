/** What an address that stands for a build context means. */
import type { SourceGitOp, SourceHttpOp } from '#formats/graph/op.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { gitOp, parseGitAddress } from '#languages/frontend/git-address.ts';
import { admitHttp, admitRemote, type Admit } from '#languages/frontend/admit.ts';

/** The name of a downloaded file where an address stands for a context, as in BuildKit. */
export const contextFile = 'context';

/** Does it name something elsewhere? Throws `frontend/bad-git-address`. */
export function isRemoteAddress(text: string): boolean {
  return isWebAddress(text) || parseGitAddress(text, { isContext: true }) !== undefined;
}

export function isWebAddress(text: string): boolean {
  return /^https?:\/\//iu.test(text);
}

/** As a source policy has it, where there is one. Throws `frontend/bad-git-address`, `engine/bad-address`, and what `Admit` throws. */
export function remoteOp(
  address: string,
  { keepGitFolder, admit }: { readonly keepGitFolder: boolean; readonly admit: Admit | undefined },
): SourceGitOp | SourceHttpOp {
  const git = parseGitAddress(address, { isContext: true });
  const op = git === undefined ? readAddress(address) : gitOp(git, { keepGitFolder });
  return admit === undefined ? op : admitRemote(admit, op);
}

/** Throws `engine/bad-address`, and what `Admit` throws. */
export function webOp(address: string, admit: Admit | undefined): SourceHttpOp {
  return admit === undefined ? readAddress(address) : admitHttp(admit, readAddress(address));
}

function readAddress(address: string): SourceHttpOp {
  if (URL.canParse(address)) return { kind: 'source-http', url: address, name: contextFile, checksum: null };
  throw new JettisonError('engine/bad-address', `Cannot read the address "${address.slice(0, 200)}"`, { hint: 'Write https://HOST/PATH' });
}
