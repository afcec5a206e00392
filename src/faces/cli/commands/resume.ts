import { resumeBuild } from '#engine/resume.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { defineCommand, readWords } from '../command.ts';
import { engineFor } from '../engine.ts';
import { text } from '../option.ts';
import { buildCommand, runBuild } from './build.ts';
import { buildOptions } from './build-request.ts';

export const resumeCommand = defineCommand({
  name: 'resume',
  summary: 'Go on with the build that failed, from its failed step',
  usage: '[OPTIONS]',
  options: {
    run: text('run', { value: 'command', help: 'Run this in the place of the failed command; the Dockerfile stays as it is' }),
  },
  arguments: [0, 0],
  async run({ options }, around, signal) {
    const { words, folder, change, place } = await planned();
    const definition = { ...buildCommand, options: buildOptions, arguments: [1, 1] as const, run: async () => await Promise.resolve(0) };
    const given = readWords(definition, words);
    if (given === undefined) throw new JettisonError('cli/usage', 'The build that failed was none');
    const code = await runBuild({ ...given, words }, { ...around, currentFolder: folder }, signal, change);
    if (code === 0 && options.run !== undefined)
      around.streams.stderr.write(`This was built with another command than ${place} has: put it there\n`);
    return code;

    async function planned() {
      await using engine = await engineFor(around);
      return await resumeBuild(engine, options.run);
    }
  },
});
