import { about, type Rule } from './rule.ts';

export const stageNameCasing: Rule = {
  name: 'StageNameCasing',
  summary: 'Stage names should be lowercase',
  why: 'Stage names are compared without case and used in file names and image references, which are lower case.',
  example: { bad: 'FROM alpine AS BuildTools', good: 'FROM alpine AS build-tools' },
  *check({ dockerfile }) {
    for (const { from } of dockerfile.stages) {
      const name = from.alias?.name.text ?? '';
      if (name !== name.toLowerCase()) yield about(from, `Stage name '${name}' should be lowercase`, `Write "${name.toLowerCase()}"`);
    }
  },
};
