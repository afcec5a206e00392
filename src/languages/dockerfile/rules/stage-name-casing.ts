import { about, type Rule } from './rule.ts';

export const stageNameCasing: Rule = {
  name: 'StageNameCasing',
  summary: 'Stage names should be lowercase',
  *check({ dockerfile }) {
    for (const { from } of dockerfile.stages) {
      const name = from.alias?.name.text ?? '';
      if (name !== name.toLowerCase()) yield about(from, `Stage name '${name}' should be lowercase`, `Write "${name.toLowerCase()}"`);
    }
  },
};
