import { blameImage } from '#engine/blame.ts';
import { groupings } from '#engine/blame-requests.ts';
import { blameDocument } from '#faces/documents/make-blame.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { defineCommand } from '../command.ts';
import { engineFor } from '../engine.ts';
import { splitImagePath } from '../image-path.ts';
import { choice, flag, text } from '../option.ts';
import { blameFiles, blamePath, blameSums, unreadableWords } from '../output/blame.ts';
import { goJson } from '#ground/base/go-json.ts';
import { openTransferScreen } from '../output/transfers.ts';

export const blameCommand = defineCommand({
  name: 'blame',
  summary: 'Tell which line, build context or image the files of an image came from',
  usage: '[OPTIONS] IMAGE[:PATH]',
  options: {
    by: choice('by', { words: groupings, initial: undefined, help: 'Sums by "origin" (default), "line", "stage" or "base"' }),
    files: flag('files', { help: 'List each file, without those of base images' }),
    all: flag('all', { short: 'a', help: 'With "--files": files of base images, too' }),
    json: flag('json', { help: 'Print what was found as JSON (docs/blame.md)' }),
    remote: flag('remote', { help: 'Ask the registry that the image came from, where nothing is known here' }),
    platform: text('platform', { help: 'Of an image for several platforms: which one ("linux/arm64")' }),
  },
  arguments: [1, 1],
  async run({ options, arguments: [word = ''] }, around, signal) {
    const { by, files, all, json, platform, remote } = options;
    if (all && !files) throw new JettisonError('cli/usage', '"--all" is for "--files"');
    if (files && by !== undefined) throw new JettisonError('cli/usage', 'Conflicting options: "--files" lists files, "--by" sums them up');
    const { image, path } = splitImagePath(word);
    await using engine = await engineFor(around);
    using screen = openTransferScreen(around.streams.stderr, around);
    const request = {
      image,
      platform,
      paths: path === undefined ? [] : [path],
      listsBase: all || path !== undefined,
      asksRegistry: remote,
    };
    const blame = await blameImage(engine, request, screen.report, signal);
    const about = { name: image, blame };
    const print = (): string => {
      if (json) return `${goJson(blameDocument(blame, { by: by ?? 'origin', listsFiles: files || path !== undefined }), 2)}\n`;
      if (files) return blameFiles(about);
      return path === undefined || by !== undefined ? blameSums(about, by ?? 'origin') : blamePath(about);
    };
    around.streams.stdout.write(print());
    if (blame.isUnreadable) around.streams.stderr.write(`${unreadableWords}\n`);
    return 0;
  },
});
