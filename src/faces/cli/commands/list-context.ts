import { isAbsolute, relative, resolve } from 'node:path';
import { listContext } from '#engine/list-context.ts';
import { contextDocument } from '#faces/documents/make-context.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { defineCommand } from '../command.ts';
import { engineFor } from '../engine.ts';
import { flag, text } from '../option.ts';
import { contextFiles, contextReason, contextSummary } from '../output/context.ts';
import { goJson } from '#ground/base/go-json.ts';
import { asBuild, questionOptions } from './build-question.ts';
import { notBuiltOptions, requestOf } from './build-request.ts';
import { readRetries } from './retry-options.ts';

const options = {
  ...questionOptions,
  why: text('why', { value: 'file', help: 'Of one file, or of all in a folder: which rule decided, and which instruction takes it' }),
  ignored: flag('ignored', { help: 'List the files that are left out, each with the rule' }),
  unused: flag('unused', { help: 'List the files that are sent and that no instruction takes' }),
  json: flag('json', { help: 'Print all files as JSON (docs/context.md)' }),
};

export const contextCommand = defineCommand({
  name: 'context',
  summary: 'Show what is in the build context, by which rule, and which instruction takes it',
  usage: '[OPTIONS] [PATH | ADDRESS | -]',
  options,
  notBuilt: notBuiltOptions,
  arguments: [0, 1],
  async run({ options: given, arguments: [path = '.'] }, around, signal) {
    const { why, ignored, unused, json } = given;
    if ([why !== undefined, ignored || unused, json].filter(Boolean).length > 1)
      throw new JettisonError('cli/usage', 'Conflicting options: "--why", "--json", and "--ignored" or "--unused" print different things');
    const request = await requestOf(asBuild(given), path, around, signal);
    await using engine = await engineFor(around, { network: readRetries(given) });
    const listing = await listContext(engine, request, signal);
    const { stdout } = around.streams;
    if (why !== undefined) {
      const named = isAbsolute(why) ? relative(resolve(around.currentFolder, path), why) : relative('/', resolve('/', why));
      const reason = contextReason(listing, named);
      if (reason === undefined)
        throw new JettisonError('cli/bad-value', `There is no "${why}" in the build context`, {
          hint: 'The path is looked up in the context',
        });
      stdout.write(reason);
    } else if (json) stdout.write(`${goJson(contextDocument(listing), 2)}\n`);
    else if (ignored || unused) stdout.write(contextFiles(listing, ignored && unused ? 'both' : ignored ? 'ignored' : 'unused'));
    else stdout.write(contextSummary(listing));
    return 0;
  },
});
