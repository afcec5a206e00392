import { ledgerOf, usualFiles } from '#engine/ledger.ts';
import { ledgerDocument } from '#faces/documents/make-ledger.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { defineCommand } from '../command.ts';
import { engineFor } from '../engine.ts';
import { flag, parsed, text } from '../option.ts';
import { goJson } from '#ground/base/go-json.ts';
import { ledgerText } from '../output/ledger.ts';
import { openTransferScreen } from '../output/transfers.ts';

export const ledgerCommand = defineCommand({
  name: 'ledger',
  summary: 'Tell what each stage of an image built, and what of that is in it',
  usage: '[OPTIONS] [IMAGE]',
  options: {
    files: parsed(
      'files',
      { value: 'number', initial: usualFiles, help: `How many of the largest files are shown (default ${usualFiles})` },
      readCount,
    ),
    json: flag('json', { help: 'Print it as JSON (docs/ledger.md)' }),
    platform: text('platform', { help: 'Of an image for several platforms: which one ("linux/arm64")' }),
  },
  arguments: [0, 1],
  async run({ options, arguments: [name] }, around, signal) {
    await using engine = await engineFor(around);
    using screen = openTransferScreen(around.streams.stderr, around);
    const wanted = { name, platform: options.platform, largest: options.files };
    const ledger = await ledgerOf(engine, wanted, screen.report, signal);
    around.streams.stdout.write(options.json ? `${goJson(ledgerDocument(ledger), 2)}\n` : ledgerText(ledger));
    return 0;
  },
});

function readCount(word: string): number {
  const count = Number(word);
  if (/^\d+$/u.test(word) && count <= 10_000) return count;
  throw new JettisonError('cli/bad-value', `Invalid number of files "${word}"`, { hint: 'Use a number from 0 to 10000' });
}
