import { about, type Rule } from './rule.ts';

export const legacyKeyValueFormat: Rule = {
  name: 'LegacyKeyValueFormat',
  summary: 'Legacy key/value format with whitespace separator should not be used',
  *check({ stages }) {
    for (const { instruction } of stages.flatMap(({ steps }) => steps)) {
      if ((instruction.kind !== 'env' && instruction.kind !== 'label') || !instruction.pairs.some(({ legacy }) => legacy)) continue;
      const name = instruction.keyword.text;
      yield about(instruction, `"${name} key=value" should be used instead of legacy "${name} key value" format`);
    }
  },
};
