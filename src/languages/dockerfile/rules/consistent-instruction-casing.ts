import type { Instruction } from '../ast.ts';
import { about, type Rule } from './rule.ts';

export const consistentInstructionCasing: Rule = {
  name: 'ConsistentInstructionCasing',
  summary: 'All commands within the Dockerfile should use the same casing (either upper or lower)',
  why: 'Lines that are written alike are found at a glance; a lone lower-case keyword looks like an argument of the line above.',
  example: { bad: 'FROM alpine\nrun echo hello\nCMD ["sh"]', good: 'FROM alpine\nRUN echo hello\nCMD ["sh"]' },
  *check({ instructions }) {
    const lower = isMostlyLower(instructions);
    for (const instruction of instructions) {
      const { text } = instruction.keyword;
      const wanted = lower ? text.toLowerCase() : text.toUpperCase();
      if (text === wanted) continue;
      const majority = lower ? 'lowercase' : 'uppercase';
      yield about(instruction, `Command '${text}' should match the case of the command majority (${majority})`, `Write "${wanted}"`);
    }
  },
};

/** Keywords of mixed case count for neither side. */
function isMostlyLower(instructions: readonly Instruction[]): boolean {
  let lower = 0;
  let upper = 0;
  for (const { keyword } of instructions) {
    if (keyword.text === keyword.text.toLowerCase()) lower++;
    else if (keyword.text === keyword.text.toUpperCase()) upper++;
  }
  return lower > upper;
}
