import { removeBuilds } from '#engine/past-builds.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { defineCommand } from '../command.ts';
import { engineFor } from '../engine.ts';
import { flag } from '../option.ts';
import { readBuild } from './build-choice.ts';

export const removeBuildsCommand = defineCommand({
  name: 'builds rm',
  summary: 'Remove builds and their logs from the list',
  usage: '[OPTIONS] [BUILD...]',
  options: { all: flag('all', { help: 'Remove all builds' }) },
  arguments: [0, Infinity],
  async run({ options, arguments: ids }, around) {
    if (options.all === ids.length > 0) throw new JettisonError('cli/usage', 'Name the builds to remove, or use "--all"');
    await using engine = await engineFor(around);
    for (const id of await removeBuilds(engine, options.all ? undefined : ids.map(readBuild))) around.streams.stdout.write(`${id}\n`);
    return 0;
  },
});
