import type { LintSubject } from '../convert/facts.ts';
import { about, type Rule } from './rule.ts';

export const consistentInstructionCasing: Rule = {
  name: 'ConsistentInstructionCasing',
  summary: 'All commands within the Dockerfile should use the same casing (either upper or lower)',
  why: 'Lines that are written alike are found at a glance; a lone lower-case keyword looks like an argument of the line above.',
  example: { bad: 'FROM alpine\nrun echo hello\nCMD ["sh"]', good: 'FROM alpine\nRUN echo hello\nCMD ["sh"]' },
  *check({ byKeyword }) {
    const lower = isMostlyLower(byKeyword);
    for (const [text, instructions] of byKeyword) {
      const wanted = lower ? text.toLowerCase() : text.toUpperCase();
      if (text === wanted) continue;
      const majority = lower ? 'lowercase' : 'uppercase';
      const message = `Command '${text}' should match the case of the command majority (${majority})`;
      for (const instruction of instructions) yield about(instruction, message, `Write "${wanted}"`);
    }
  },
};

/** Keywords of mixed case count for neither side. */
function isMostlyLower(byKeyword: LintSubject['byKeyword']): boolean {
  let lower = 0;
  let upper = 0;
  for (const [text, { length }] of byKeyword) {
    if (text === text.toLowerCase()) lower += length;
    else if (text === text.toUpperCase()) upper += length;
  }
  return lower > upper;
}
