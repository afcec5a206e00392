import { about, type Rule } from './rule.ts';

export const workdirRelativePath: Rule = {
  name: 'WorkdirRelativePath',
  summary: 'Relative workdir without an absolute workdir declared within the build can have unexpected results if the base image changes',
  why: "A relative path continues from the base image's own working directory, and changes with it.",
  example: { bad: 'FROM scratch\nWORKDIR app', good: 'FROM scratch\nWORKDIR /app' },
  *check({ stages }) {
    for (const { steps, hasWorkdir } of stages) {
      const first = steps.find(({ instruction }) => instruction.kind === 'workdir');
      if (!first || hasWorkdir || first.path.startsWith('/')) continue;
      yield about(
        first.instruction,
        `Relative workdir "${first.path}" can have unexpected results if the base image changes`,
        `Write WORKDIR /${first.path}`,
      );
    }
  },
};
