import type { Entitlement } from '#engine/build-requests.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { suggest } from '#ground/base/human.ts';
import { badValue } from '../option.ts';

const entitlements: readonly Entitlement[] = ['network.host', 'security.insecure'];

/** All `--allow`: BuildKit's entitlements. Throws `cli/bad-value`, `cli/not-built`. */
export function readAllow(given: readonly string[]): readonly Entitlement[] {
  return given.filter((word) => word !== '').map(readEntitlement);
}

function readEntitlement(word: string): Entitlement {
  const known = entitlements.find((each) => each === word);
  if (known !== undefined) return known;
  if (word === 'device' || word.startsWith('device='))
    throw new JettisonError('cli/not-built', `"--allow ${word}" is not built yet: steps are given no devices`, { hint: 'Leave it out' });
  const near = word.length > 40 ? undefined : suggest(word, entitlements);
  throw badValue('allow', word, near === undefined ? `it is one of ${entitlements.join(', ')}` : `did you mean "${near}"?`);
}
