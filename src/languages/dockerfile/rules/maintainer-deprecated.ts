import { about, instructionsOf, type Rule } from './rule.ts';

export const maintainerDeprecated: Rule = {
  name: 'MaintainerDeprecated',
  summary: 'The MAINTAINER instruction is deprecated, use a label instead to define an image author',
  why: 'A label says the same and is seen by the tools that show labels.',
  example: {
    bad: 'FROM alpine\nMAINTAINER someone@example.com',
    good: 'FROM alpine\nLABEL org.opencontainers.image.authors="someone@example.com"',
  },
  *check(subject) {
    for (const instruction of instructionsOf(subject, 'maintainer')) {
      yield about(
        instruction,
        'Maintainer instruction is deprecated in favor of using label',
        'Write LABEL org.opencontainers.image.authors=...',
      );
    }
  },
};
