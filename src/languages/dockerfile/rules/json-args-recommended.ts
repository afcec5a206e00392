import { about, stepsOf, type Rule } from './rule.ts';

export const jsonArgsRecommended: Rule = {
  name: 'JSONArgsRecommended',
  summary: 'JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals',
  why: 'The shell form runs the program below `/bin/sh -c`, which does not pass signals on: the container then takes its full time to stop.',
  example: { bad: 'FROM alpine\nCMD sleep 60', good: 'FROM alpine\nCMD ["sleep", "60"]' },
  *check(subject) {
    for (const { instruction, shell } of stepsOf(subject, 'cmd', 'entrypoint')) {
      if ((instruction.kind !== 'cmd' && instruction.kind !== 'entrypoint') || instruction.command.form === 'exec' || shell.length > 0)
        continue;
      const name = instruction.keyword.text;
      yield about(
        instruction,
        `JSON arguments recommended for ${name} to prevent unintended behavior related to OS signals`,
        `Write ${name} ["program", "argument"], or SHELL before it if a shell is meant`,
      );
    }
  },
};
