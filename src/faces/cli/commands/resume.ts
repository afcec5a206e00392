import { resumeBuild } from '#engine/resume.ts';
import { defineCommand } from '../command.ts';
import { engineFor } from '../engine.ts';
import { text } from '../option.ts';
import { runBuild } from './build.ts';
import { readBuildWords } from './build-words.ts';

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
    const code = await runBuild(readBuildWords(words), { ...around, currentFolder: folder }, signal, change);
    if (code === 0 && options.run !== undefined)
      around.streams.stderr.write(`This was built with another command than ${place} has: put it there\n`);
    return code;

    async function planned() {
      await using engine = await engineFor(around);
      return await resumeBuild(engine, options.run);
    }
  },
});
