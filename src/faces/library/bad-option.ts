/** Options that a program without types gave wrong. */
import * as v from 'valibot';
import { JettisonError } from '#ground/base/errors.ts';

/** Names the option and never its value: that may be a secret. */
export function badOption(name: string, what: string): JettisonError {
  return new JettisonError('library/bad-option', `Bad option "${name.slice(0, 200)}": ${what}`, {
    hint: 'docs/library.md and the types of "jettison/store" say what there is',
  });
}

/** The options once they have the shape of `schema`. Throws `library/bad-option`. */
export function checkOptions<const S extends v.GenericSchema>(schema: S, given: unknown): v.InferOutput<S> {
  const read = v.safeParse(schema, given, { abortEarly: true });
  if (read.success) return read.output;
  const [issue] = read.issues;
  const what = issue.expected === 'never' ? 'there is no such option' : 'it is not of the type that it has to have';
  throw badOption(v.getDotPath(issue) ?? 'options', what);
}

/** Throws `library/bad-option` for a word that the option does not know, which would be taken for the usual one. */
export function requireOneOf(name: string, word: string | undefined, words: readonly string[]): void {
  if (word !== undefined && !words.includes(word)) throw badOption(name, `use ${words.map((one) => `"${one}"`).join(', ')}`);
}
