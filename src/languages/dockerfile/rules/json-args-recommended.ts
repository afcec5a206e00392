import { about, type Rule } from './rule.ts';

export const jsonArgsRecommended: Rule = {
  name: 'JSONArgsRecommended',
  summary: 'JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals',
  *check({ stages }) {
    for (const { instruction, hasShell } of stages.flatMap(({ steps }) => steps)) {
      if ((instruction.kind !== 'cmd' && instruction.kind !== 'entrypoint') || instruction.command.form === 'exec' || hasShell) continue;
      const name = instruction.keyword.text;
      yield about(
        instruction,
        `JSON arguments recommended for ${name} to prevent unintended behavior related to OS signals`,
        `Write ${name} ["program", "argument"], or SHELL before it if a shell is meant`,
      );
    }
  },
};
