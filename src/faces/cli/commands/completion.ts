import { JettisonError } from '#ground/base/errors.ts';
import { defineCommand } from '../command.ts';
import { completionScripts } from '../completion-scripts.ts';

export const completionCommand = defineCommand({
  name: 'completion',
  summary: 'Print a script with which bash, zsh or fish complete words of jettison',
  usage: 'bash|zsh|fish',
  options: {},
  arguments: [1, 1],
  run: async ({ arguments: [shell = ''] }, around) => {
    if (shell !== 'bash' && shell !== 'zsh' && shell !== 'fish') {
      throw new JettisonError('cli/bad-value', `No completion for "${shell}"`, { hint: 'There is "bash", "zsh" and "fish"' });
    }
    around.streams.stdout.write(completionScripts[shell]);
    return await Promise.resolve(0);
  },
});
