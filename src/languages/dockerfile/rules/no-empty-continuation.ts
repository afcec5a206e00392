import type { Rule } from './rule.ts';

export const noEmptyContinuation: Rule = {
  name: 'NoEmptyContinuation',
  summary: 'Empty continuation lines will become errors in a future release',
  why: 'An empty line behind a backslash is skipped today, though it looks as if the instruction ended there.',
  example: { bad: 'FROM alpine\nRUN echo one && \\\n\n    echo two', good: 'FROM alpine\nRUN echo one && \\\n    echo two' },
  *check({ dockerfile, byKeyword }) {
    for (const instructions of [dockerfile.globalArguments, ...byKeyword.values()]) {
      for (const { emptyContinuation } of instructions) {
        if (!emptyContinuation) continue;
        yield {
          message: 'Empty continuation line',
          at: [emptyContinuation],
          comments: [],
          hint: 'Remove the empty line, or put a "#" on it',
        };
      }
    }
  },
};
