import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { createIndex } from '#engine/create-index.ts';
import { JettisonError, messageOf } from '#ground/base/errors.ts';
import { builderOption, checkBuilderOption } from './builder-option.ts';
import { defineCommand } from '../command.ts';
import { engineFor } from '../engine.ts';
import { parseBoolean } from '#ground/base/boolean-word.ts';
import { choice, flag, list, parsed, badValue } from '../option.ts';
import { openTransferScreen, silentTransferScreen } from '../output/transfers.ts';
import { readAnnotation } from './build-annotation.ts';
import { readRetries, retryOptions } from './retry-options.ts';

const longestFile = 1 << 20;

export const createImageCommand = defineCommand({
  name: 'buildx imagetools create',
  summary: 'Make an image of images in registries',
  usage: '[OPTIONS] [SOURCE...]',
  options: {
    builder: builderOption(),
    annotations: list('annotation', {
      value: 'stringArray',
      help: 'Add an annotation: "index:KEY=VALUE", "manifest-descriptor[PLATFORM]:KEY=VALUE"',
    }),
    append: flag('append', { help: 'Append to what the tag means now' }),
    dryRun: flag('dry-run', { help: 'Show the final image instead of pushing it' }),
    files: list('file', { short: 'f', value: 'stringArray', help: 'Read a source descriptor from the file' }),
    platforms: list('platform', { short: 'p', value: 'stringArray', help: 'Take only these platforms of the sources' }),
    preferIndex: parsed(
      'prefer-index',
      { value: 'bool', initial: true, help: 'Make an index also of a single manifest (default true)' },
      readSwitch,
    ),
    progress: choice('progress', {
      words: ['auto', 'none', 'plain', 'tty', 'quiet'],
      initial: 'auto',
      help: 'How progress is shown (default "auto")',
    }),
    tags: list('tag', { short: 't', value: 'stringArray', help: 'Name of the new image' }),
    ...retryOptions,
  },
  notBuilt: 'metadata-file',
  arguments: [0, Infinity],
  async run({ options, arguments: names }, around, signal) {
    await checkBuilderOption(options.builder, around.environment);
    const { stdout, stderr } = around.streams;
    const sources = [...options.files.map((file) => readSourceFile(resolve(around.currentFolder, file))), ...names];
    if (sources.length === 0) throw new JettisonError('cli/usage', 'Name a source, or a file with "--file"');
    if (options.tags.length === 0 && !options.dryRun)
      throw new JettisonError('cli/usage', 'Name the new image with "--tag", or use "--dry-run"');
    const annotations = options.annotations.flatMap((one) => readAnnotation(one, true));
    const other = annotations.find(({ place }) => place !== 'index' && place !== 'manifest-descriptor');
    if (other !== undefined)
      throw badValue('annotation', `${other.place}:${other.key}`, 'manifests stay as they are: use "index:" or "manifest-descriptor:"');
    const { tags, append, preferIndex, dryRun } = options;
    const platforms = options.platforms.flatMap((words) => words.split(',')).filter((word) => word !== '');
    const request = { sources, tags, append, annotations, platforms, preferIndex, dryRun };
    await using engine = await engineFor(around, { network: readRetries(options) });
    const made = await (async () => {
      using screen = ['none', 'quiet'].includes(options.progress) ? silentTransferScreen() : openTransferScreen(stderr, around);
      return await createIndex(engine, request, screen.report, signal);
    })();
    if (dryRun) stdout.write(`${new TextDecoder().decode(made.bytes)}\n`);
    else stderr.write(tags.map((tag) => `pushed ${made.digest} to ${tag}\n`).join(''));
    return 0;
  },
});

/** `--prefer-index=false`. */
function readSwitch(word: string): boolean {
  const is = parseBoolean(word);
  if (is !== undefined) return is;
  throw badValue('prefer-index', word, 'use "true" or "false"');
}

/** What a file holds is a descriptor, a digest or a name: each is taken by its look. */
function readSourceFile(path: string): string {
  try {
    const text = readFileSync(path, 'utf8').trim();
    if (text.length <= longestFile) return text;
  } catch (error) {
    throw new JettisonError('cli/cannot-read', `Cannot read the source "${path}": ${messageOf(error)}`, { cause: error });
  }
  throw new JettisonError('cli/bad-value', `The source "${path}" is longer than 1 MiB`);
}
