/** `--source-policy-file`: the file of a source policy. */
import { JettisonError, systemCode } from '#ground/base/errors.ts';
import { readAtMost } from '#ground/base/read-at-most.ts';
import type { Admit } from '#languages/frontend/admit.ts';
import { readSourcePolicy } from '#languages/frontend/source-policy.ts';

const longestPolicy = 1 << 20;

/** `path` is absolute, `name` is how it was typed. Throws `engine/no-policy`, `frontend/bad-policy`. */
export function readPolicyFile(path: string, name: string): Admit {
  let bytes: Uint8Array | undefined;
  try {
    bytes = readAtMost(path, longestPolicy);
  } catch (error) {
    const code = systemCode(error);
    throw noPolicy(name, code === 'ENOENT' ? 'no such file or directory' : (code ?? String(error)), error);
  }
  if (bytes === undefined) throw noPolicy(name, 'it is longer than 1 MiB');
  return readSourcePolicy(bytes, name);
}

function noPolicy(name: string, why: string, cause?: unknown): JettisonError {
  return new JettisonError('engine/no-policy', `failed to read policy file: open ${name}: ${why}`, {
    hint: 'Nothing is built without the policy that was asked for',
    cause,
  });
}
