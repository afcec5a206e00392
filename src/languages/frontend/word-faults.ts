/** How a word that cannot be expanded is refused, and how long one may grow. */
import { JettisonError } from '#ground/base/errors.ts';

/** Of a word, in UTF-16 units. */
export const longest = 1 << 20;

/** What is wrong with a word; `expandWord` gives its message. */
export function badSubstitution(message: string): JettisonError {
  return new JettisonError('frontend/bad-substitution', message);
}

/** The text, if it is not too long. */
export function limited(text: string): string {
  if (text.length > longest) throw badSubstitution(`a word grows longer than ${longest} characters`);
  return text;
}
