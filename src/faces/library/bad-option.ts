/** Options that a program without types gave wrong. */
import { JettisonError } from '#ground/base/errors.ts';

/** Names the option and never its value: that may be a secret. */
export function badOption(name: string, what: string): JettisonError {
  return new JettisonError('library/bad-option', `Bad option "${name.slice(0, 200)}": ${what}`, {
    hint: 'docs/library.md and the types of "jettison/store" say what there is',
  });
}

/** Throws `library/bad-option` for a word that the option does not know, which would be taken for the usual one. */
export function requireOneOf(name: string, word: string | undefined, words: readonly string[]): void {
  if (word !== undefined && !words.includes(word)) throw badOption(name, `use ${words.map((one) => `"${one}"`).join(', ')}`);
}
