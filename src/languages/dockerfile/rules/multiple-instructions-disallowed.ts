import type { StepFacts } from '../convert/facts.ts';
import { about, type Rule } from './rule.ts';

export const multipleInstructionsDisallowed: Rule = {
  name: 'MultipleInstructionsDisallowed',
  summary: 'Multiple instructions of the same type should not be used in the same stage',
  why: 'Only the last CMD, ENTRYPOINT and HEALTHCHECK of a stage count: the ones above do nothing.',
  example: { bad: 'FROM alpine\nCMD ["echo", "one"]\nCMD ["echo", "two"]', good: 'FROM alpine\nCMD ["echo", "two"]' },
  *check({ stages }) {
    for (const { steps } of stages) {
      const last = new Map<string, StepFacts>();
      for (const step of steps) {
        const { kind, keyword } = step.instruction;
        if (kind !== 'cmd' && kind !== 'entrypoint' && kind !== 'healthcheck') continue;
        const before = last.get(kind);
        last.set(kind, step);
        if (!before) continue;
        const message = `Multiple ${keyword.text} instructions should not be used in the same stage because only the last one will be used`;
        yield { ...about(step.instruction, message, 'Remove it'), at: before.at };
      }
    }
  },
};
