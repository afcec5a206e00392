import type { Instruction } from '../ast.ts';
import { about, instructionsOf, type Rule } from './rule.ts';

export const invalidDefinitionDescription: Rule = {
  name: 'InvalidDefinitionDescription',
  summary: 'Comment for build stage or argument should follow the format: `# <arg/stage name> <description>`',
  why: 'A comment right above a stage or an argument is shown as its description; it counts as one only when it begins with the name.',
  example: {
    bad: '# check=experimental=InvalidDefinitionDescription\n# the compiler\nFROM alpine AS build',
    good: '# check=experimental=InvalidDefinitionDescription\n# build has the compiler\nFROM alpine AS build',
  },
  experimental: true,
  *check(subject) {
    for (const instruction of [...subject.dockerfile.globalArguments, ...instructionsOf(subject, 'from', 'arg')]) {
      const comment = instruction.comments.at(-1)?.text;
      if (comment === undefined) continue;
      const names = namesOf(instruction);
      const [first = '', more] = names;
      if (names.length === 0 || names.includes(comment.split(' ', 1)[0] ?? '')) continue;
      const example = more === undefined ? first : '<arg_key>';
      yield about(
        instruction,
        `Comment for ${instruction.keyword.text} should follow the format: \`# ${example} <description>\``,
        'If it is no description, put an empty line or comment between it and the instruction',
      );
    }
  },
};

function namesOf(instruction: Instruction): readonly string[] {
  if (instruction.kind === 'arg') return instruction.arguments.map(({ name }) => name.text);
  return instruction.kind === 'from' && instruction.alias ? [instruction.alias.name.text.toLowerCase()] : [];
}
