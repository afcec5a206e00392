import { checkImage } from '#engine/check-payload.ts';
import { checkDocument } from '#faces/documents/make-check.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { defineCommand } from '../command.ts';
import { engineFor } from '../engine.ts';
import { goJson } from '#ground/base/go-json.ts';
import { splitImagePath } from '../image-path.ts';
import { flag, text } from '../option.ts';
import { linesText, payloadText, plainCopiesText } from '../output/payload.ts';
import { openTransferScreen } from '../output/transfers.ts';

export const checkCommand = defineCommand({
  name: 'check',
  summary: 'Tell whether a container of an image would start, and what it lacks',
  usage: '[OPTIONS] IMAGE[:PATH]',
  options: {
    fix: flag('fix', { help: 'Print a patch of the Dockerfile that adds what is missing (for git apply, patch)' }),
    file: text('file', {
      short: 'f',
      value: 'path',
      help: 'With "--fix": the Dockerfile that the image was built from (default: the one that is called so here)',
    }),
    libs: flag('libs', {
      help: 'Print the plain instructions that stand for "COPY --libs" of its build, or that bring one program of IMAGE:/PATH into an empty image',
    }),
    json: flag('json', { help: 'Print what was found as JSON (docs/check.md)' }),
    platform: text('platform', { help: 'Of an image for several platforms: which one ("linux/arm64")' }),
  },
  arguments: [1, 1],
  async run({ options, arguments: [name = ''] }, around, signal) {
    if (options.fix && options.json)
      throw new JettisonError('cli/usage', 'Conflicting options: "--fix" prints a patch, "--json" a document');
    if (!options.fix && options.file !== undefined) throw new JettisonError('cli/usage', '"--file" is for "--fix"');
    if (options.libs && (options.fix || options.json))
      throw new JettisonError('cli/usage', 'Conflicting options: "--libs" prints instructions, "--fix" a patch, "--json" a document');
    const { image, path } = splitImagePath(name);
    if (path !== undefined && !options.libs) throw new JettisonError('cli/usage', '"IMAGE:/PATH" is for "--libs"');
    await using engine = await engineFor(around);
    if (path !== undefined) {
      const { programCopies } = await import('#engine/program-copies.ts');
      using screen = openTransferScreen(around.streams.stderr, around);
      const lines = await programCopies(engine, { name: image, path, platform: options.platform }, screen.report, signal);
      around.streams.stdout.write(linesText(lines));
      return 0;
    }
    if (options.libs) {
      const { plainCopies } = await import('#engine/plain-copies.ts');
      const plain = await plainCopies(engine, { name, platform: options.platform }, signal);
      around.streams.stdout.write(plainCopiesText(plain));
      return 0;
    }
    using screen = openTransferScreen(around.streams.stderr, around);
    const check = await checkImage(engine, { name, platform: options.platform }, screen.report, signal);
    if (options.fix) {
      const { patchDockerfile } = await import('#engine/patch-dockerfile.ts');
      around.streams.stdout.write(patchDockerfile(engine, check, options.file ?? check.dockerfile ?? 'Dockerfile'));
      around.streams.stderr.write(payloadText({ ...check, lines: [] }));
    } else around.streams.stdout.write(options.json ? `${goJson(checkDocument(check), 2)}\n` : payloadText(check));
    return check.findings.some(({ severity }) => severity === 'error') ? 1 : 0;
  },
});
