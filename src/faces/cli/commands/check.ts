import { checkImage } from '#engine/check-payload.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { defineCommand } from '../command.ts';
import { engineFor } from '../engine.ts';
import { flag, text } from '../option.ts';
import { goJson } from '../output/go-json.ts';
import { payloadJson, payloadText } from '../output/payload.ts';
import { openTransferScreen } from '../output/transfers.ts';

export const checkCommand = defineCommand({
  name: 'check',
  summary: 'Tell whether a container of an image would start, and what it lacks',
  usage: '[OPTIONS] IMAGE',
  options: {
    fix: flag('fix', { help: 'Print a patch of the Dockerfile that adds what is missing (for git apply, patch)' }),
    file: text('file', {
      short: 'f',
      value: 'path',
      help: 'With "--fix": the Dockerfile that the image was built from (default "Dockerfile")',
    }),
    json: flag('json', { help: 'Print what was found as JSON (docs/check.md)' }),
    platform: text('platform', { help: 'Of an image for several platforms: which one ("linux/arm64")' }),
  },
  arguments: [1, 1],
  async run({ options, arguments: [name = ''] }, around, signal) {
    if (options.fix && options.json)
      throw new JettisonError('cli/usage', 'Conflicting options: "--fix" prints a patch, "--json" a document');
    if (!options.fix && options.file !== undefined) throw new JettisonError('cli/usage', '"--file" is for "--fix"');
    await using engine = await engineFor(around);
    using screen = openTransferScreen(around.streams.stderr, around);
    const check = await checkImage(engine, { name, platform: options.platform }, screen.report, signal);
    if (options.fix) {
      const { patchDockerfile } = await import('#engine/patch-dockerfile.ts');
      around.streams.stdout.write(patchDockerfile(engine, check, options.file ?? 'Dockerfile'));
      around.streams.stderr.write(payloadText({ ...check, lines: [] }));
    } else around.streams.stdout.write(options.json ? `${goJson(payloadJson(check), 2)}\n` : payloadText(check));
    return check.findings.some(({ severity }) => severity === 'error') ? 1 : 0;
  },
});
