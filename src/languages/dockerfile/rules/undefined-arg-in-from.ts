import { suggest } from '#ground/base/human.ts';
import { about, type Rule } from './rule.ts';

/** Beyond these a hostile file would search long. */
const mostSuggestions = 100;
const mostCandidates = 1000;

export const undefinedArgInFrom: Rule = {
  name: 'UndefinedArgInFrom',
  summary: 'FROM command must use declared ARGs',
  why: 'An undeclared argument is empty, so FROM names another image than it seems to, or none.',
  example: { bad: 'FROM alpine:${VERSION}', good: 'ARG VERSION=3\nFROM alpine:${VERSION}' },
  *check({ froms, globals }) {
    const known = new Set([...globals.declared, ...globals.values.keys()]);
    let left = mostSuggestions;
    for (const { stage, image, platform } of froms) {
      for (const name of [...image.unmatched, ...(platform?.unmatched ?? [])]) {
        if (known.has(name)) continue;
        const near = left-- > 0 && known.size <= mostCandidates ? suggest(name, known) : undefined;
        const more = near === undefined ? '' : ` (did you mean ${near}?)`;
        yield about(stage.from, `FROM argument '${name}' is not declared${more}`, `Put "ARG ${near ?? name}" before the first FROM`);
      }
    }
  },
};
