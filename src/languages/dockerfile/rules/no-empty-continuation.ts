import { stageInstructions, type Rule } from './rule.ts';

export const noEmptyContinuation: Rule = {
  name: 'NoEmptyContinuation',
  summary: 'Empty continuation lines will become errors in a future release',
  *check(subject) {
    for (const instruction of [...subject.dockerfile.globalArguments, ...stageInstructions(subject)]) {
      if (!instruction.emptyContinuation) continue;
      yield {
        message: 'Empty continuation line',
        at: [instruction.emptyContinuation],
        comments: [],
        hint: 'Remove the empty line, or put a "#" on it',
      };
    }
  },
};
