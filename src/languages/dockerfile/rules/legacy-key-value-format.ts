import { about, stepsOf, type Rule } from './rule.ts';

export const legacyKeyValueFormat: Rule = {
  name: 'LegacyKeyValueFormat',
  summary: 'Legacy key/value format with whitespace separator should not be used',
  why: 'With a blank for the equals sign everything up to the end of the line is one value: a second variable in that line becomes part of the first.',
  example: { bad: 'FROM alpine\nENV MODE fast', good: 'FROM alpine\nENV MODE=fast' },
  *check(subject) {
    for (const { instruction } of stepsOf(subject, 'env', 'label')) {
      if ((instruction.kind !== 'env' && instruction.kind !== 'label') || !instruction.pairs.some(({ legacy }) => legacy)) continue;
      const name = instruction.keyword.text;
      yield about(instruction, `"${name} key=value" should be used instead of legacy "${name} key value" format`);
    }
  },
};
