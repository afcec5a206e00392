/** What a modifier of a variable makes of its value: `- + ? # %`. */
import { parseShellPattern, trimEnd, trimStart, type Meter } from './shell-pattern.ts';
import { badSubstitution } from './word-faults.ts';

/** What `${name-word}`, `${name#word}` and the like stand for; `colon`: an empty value counts as none. Throws `frontend/bad-substitution`. */
export function applyModifier(use: {
  readonly name: string;
  readonly modifier: string;
  readonly colon: boolean;
  readonly word: string;
  readonly value: string | undefined;
  readonly meter: Meter;
}): string {
  const { name, modifier, colon, word, value, meter } = use;
  const missing = value === undefined || (colon && value === '');
  switch (modifier) {
    case '-':
      return missing ? word : value;
    case '+':
      return missing ? '' : word;
    case '?':
      if (missing)
        throw badSubstitution(`${name}: ${word === '' ? `is not allowed to be ${value === undefined ? 'unset' : 'empty'}` : word}`);
      return value;
    default: {
      const longestMatch = word.startsWith(modifier);
      const pattern = parseShellPattern(longestMatch ? word.slice(1) : word);
      return (modifier === '#' ? trimStart : trimEnd)(value ?? '', pattern, { longest: longestMatch, meter });
    }
  }
}
