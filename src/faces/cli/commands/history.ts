import { imageHistory } from '#engine/history.ts';
import type { HistoryRow } from '#engine/image-requests.ts';
import { ellipsis, formatSize } from '#ground/base/human.ts';
import { defineCommand } from '../command.ts';
import { engineFor } from '../engine.ts';
import { flag, text } from '../option.ts';
import { formatRows, type Fields } from '../output/rows.ts';
import { isoSeconds, shortId, since } from '../output/stamp.ts';
import { harmless } from '../output/text.ts';

const titles = {
  ID: 'IMAGE',
  CreatedSince: 'CREATED',
  CreatedAt: 'CREATED AT',
  CreatedBy: 'CREATED BY',
  Size: 'SIZE',
  Comment: 'COMMENT',
};

export const historyCommand = defineCommand({
  name: 'history',
  summary: 'Show the history of an image',
  usage: '[OPTIONS] IMAGE',
  options: {
    format: text('format', { help: '"table", "table TEMPLATE", "json" or a Go template for each line' }),
    human: flag('human', { short: 'H', help: 'Print sizes and dates in human readable format (default true)' }, true),
    noTruncation: flag('no-trunc', { help: 'Do not truncate output' }),
    platform: text('platform', { help: 'Of an image for several platforms: "os/architecture[/variant]"' }),
    quiet: flag('quiet', { short: 'q', help: 'Only show image IDs' }),
  },
  arguments: [1, 1],
  async run({ options, arguments: [name = ''] }, around) {
    await using engine = await engineFor(around);
    const show = { now: around.now(), full: options.noTruncation, human: options.human };
    const rows = imageHistory(engine, name, options.platform).map((row) => fieldsOf(row, show));
    const created = options.human ? '{{.CreatedSince}}' : '{{.CreatedAt}}';
    const table = `{{.ID}}\t${created}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}`;
    const lines = options.quiet ? rows.map((row) => `${row['ID']}\n`).join('') : formatRows(rows, options.format, { titles, table });
    around.streams.stdout.write(lines);
    return 0;
  },
});

function fieldsOf(row: HistoryRow, show: { readonly now: number; readonly full: boolean; readonly human: boolean }): Fields {
  const createdBy = harmless(row.createdBy.replaceAll(/[\t\n]/gu, ' '), false);
  return {
    Comment: harmless(row.comment.replaceAll('\n', ' '), false),
    CreatedAt: isoSeconds(row.created),
    CreatedBy: show.full ? createdBy : ellipsis(createdBy, 45),
    CreatedSince: show.human ? since(row.created, show.now) : isoSeconds(row.created),
    ID: show.full ? row.id : shortId(row.id),
    Size: show.human ? formatSize(row.size) : String(row.size),
  };
}
