import { JettisonError } from '#ground/base/errors.ts';
import type { Diagnostic } from '#languages/frontend/diagnostics.ts';

/** Text that cannot be read has one error: the first, in the order of the file. Throws `dockerfile/syntax`, `dockerfile/not-built-yet`. */
export function failAtFirst(diagnostics: readonly Diagnostic[]): void {
  const [first, ...more] = diagnostics.filter((each) => each.severity === 'error');
  if (!first) return;
  const line = first.at[0]?.start.line;
  throw new JettisonError(
    first.rule === 'NotBuiltYet' ? 'dockerfile/not-built-yet' : 'dockerfile/syntax',
    line === undefined ? first.message : `Dockerfile parse error on line ${line}: ${first.message}`,
    {
      at: first.at,
      ...(first.hint === undefined ? {} : { hint: first.hint }),
      notes: more.slice(0, 9).map((each) => `line ${each.at[0]?.start.line ?? '?'}: ${each.message}`),
    },
  );
}
