import { about, stageInstructions, type Rule } from './rule.ts';

export const maintainerDeprecated: Rule = {
  name: 'MaintainerDeprecated',
  summary: 'The MAINTAINER instruction is deprecated, use a label instead to define an image author',
  *check(subject) {
    for (const instruction of stageInstructions(subject)) {
      if (instruction.kind !== 'maintainer') continue;
      yield about(
        instruction,
        'Maintainer instruction is deprecated in favor of using label',
        'Write LABEL org.opencontainers.image.authors=...',
      );
    }
  },
};
