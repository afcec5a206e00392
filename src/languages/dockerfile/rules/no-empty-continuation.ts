import type { Rule } from './rule.ts';

export const noEmptyContinuation: Rule = {
  name: 'NoEmptyContinuation',
  summary: 'Empty continuation lines will become errors in a future release',
  why: 'An empty line behind a backslash is skipped today, though it looks as if the instruction ended there.',
  example: { bad: 'FROM alpine\nRUN echo one && \\\n\n    echo two', good: 'FROM alpine\nRUN echo one && \\\n    echo two' },
  *check(subject) {
    for (const instruction of [...subject.dockerfile.globalArguments, ...subject.instructions]) {
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
