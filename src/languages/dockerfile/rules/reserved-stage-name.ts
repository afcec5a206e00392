import { about, type Rule } from './rule.ts';

const reserved = new Set(['context', 'scratch']);

export const reservedStageName: Rule = {
  name: 'ReservedStageName',
  summary: 'Reserved words should not be used as stage names',
  *check({ dockerfile }) {
    for (const { from } of dockerfile.stages) {
      const name = from.alias?.name.text.toLowerCase() ?? '';
      if (reserved.has(name))
        yield about(from, `Stage name should not use the same name as reserved stage "${name}"`, 'Give it another name');
    }
  },
};
