import { about, type Rule } from './rule.ts';

export const undefinedVar: Rule = {
  name: 'UndefinedVar',
  summary: 'Variables should be defined before their use',
  why: 'A variable that nobody sets is empty; most often its name is misspelt, or the ARG stands in another stage.',
  example: { bad: 'FROM scratch\nARG SOURCE=app\nCOPY $SUORCE /', good: 'FROM scratch\nARG SOURCE=app\nCOPY $SOURCE /' },
  *check({ stages }) {
    for (const { steps, baseIsKnown } of stages) {
      if (!baseIsKnown) continue;
      for (const { instruction, undefinedVariables } of steps) {
        if (undefinedVariables === undefined) continue;
        for (const { name, near } of undefinedVariables) {
          const more = near === undefined ? '' : ` (did you mean $${near}?)`;
          yield about(
            instruction,
            `Usage of undefined variable '$${name}'${more}`,
            `Declare it with ARG or ENV above, or write \\$${name}`,
          );
        }
      }
    }
  },
};
