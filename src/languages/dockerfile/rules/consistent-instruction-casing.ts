import { about, isOneCase, stageInstructions, type Rule } from './rule.ts';

export const consistentInstructionCasing: Rule = {
  name: 'ConsistentInstructionCasing',
  summary: 'All commands within the Dockerfile should use the same casing (either upper or lower)',
  why: 'Lines that are written alike are found at a glance; a lone lower-case keyword looks like an argument of the line above.',
  example: { bad: 'FROM alpine\nrun echo hello\nCMD ["sh"]', good: 'FROM alpine\nRUN echo hello\nCMD ["sh"]' },
  *check(subject) {
    const instructions = [...stageInstructions(subject)];
    const clear = instructions.map(({ keyword }) => keyword.text).filter(isOneCase);
    const lower = clear.filter((text) => text === text.toLowerCase()).length > clear.length / 2;
    for (const instruction of instructions) {
      const { text } = instruction.keyword;
      const wanted = lower ? text.toLowerCase() : text.toUpperCase();
      if (text === wanted) continue;
      const majority = lower ? 'lowercase' : 'uppercase';
      yield about(instruction, `Command '${text}' should match the case of the command majority (${majority})`, `Write "${wanted}"`);
    }
  },
};
