import { checkImage } from '#engine/check-payload.ts';
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
    json: flag('json', { help: 'Print what was found as JSON (docs/check.md)' }),
    platform: text('platform', { help: 'Of an image for several platforms: which one ("linux/arm64")' }),
  },
  arguments: [1, 1],
  async run({ options, arguments: [name = ''] }, around, signal) {
    await using engine = await engineFor(around);
    using screen = openTransferScreen(around.streams.stderr, around);
    const check = await checkImage(engine, { name, platform: options.platform }, screen.report, signal);
    around.streams.stdout.write(options.json ? `${goJson(payloadJson(check), 2)}\n` : payloadText(check));
    return check.findings.some(({ severity }) => severity === 'error') ? 1 : 0;
  },
});
