import { about, type Rule } from './rule.ts';

const reserved = new Set(['context', 'scratch']);

export const reservedStageName: Rule = {
  name: 'ReservedStageName',
  summary: 'Reserved words should not be used as stage names',
  why: '`scratch` and `context` have a meaning of their own: a stage of that name cannot be told from them.',
  example: { bad: 'FROM alpine AS scratch', good: 'FROM alpine AS tools' },
  *check({ dockerfile }) {
    for (const { from } of dockerfile.stages) {
      const name = from.alias?.name.text.toLowerCase() ?? '';
      if (reserved.has(name))
        yield about(from, `Stage name should not use the same name as reserved stage "${name}"`, 'Give it another name');
    }
  },
};
