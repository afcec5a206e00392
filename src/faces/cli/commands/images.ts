import { containersByImage, contentSize, listImages } from '#engine/images.ts';
import type { ImageListRequest, ImageRow } from '#engine/image-requests.ts';
import { badFilter, parseLabelFilter, parseMoment } from '#engine/space-filters.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { formatSize } from '#ground/base/human.ts';
import { defineCommand } from '../command.ts';
import { engineFor } from '../engine.ts';
import { parseBoolean } from '#ground/base/boolean-word.ts';
import { filterList, flag, text } from '../option.ts';
import { formatRows, type Fields } from '../output/rows.ts';
import { createdAt, shortId, since } from '../output/stamp.ts';
import { formatImageTree } from './image-tree.ts';

const titles = {
  Repository: 'REPOSITORY',
  Tag: 'TAG',
  Digest: 'DIGEST',
  ID: 'IMAGE ID',
  CreatedSince: 'CREATED',
  CreatedAt: 'CREATED AT',
  Size: 'SIZE',
  VirtualSize: 'SIZE',
  Containers: 'CONTAINERS',
  SharedSize: 'SHARED SIZE',
  UniqueSize: 'UNIQUE SIZE',
};

export const imagesCommand = defineCommand({
  name: 'images',
  summary: 'List images',
  usage: '[OPTIONS] [REPOSITORY[:TAG]]',
  options: {
    all: flag('all', { short: 'a', help: 'Show all images, also those of the steps of classic builds' }),
    digests: flag('digests', { help: 'Show digests' }),
    filter: filterList('filter', {
      short: 'f',
      help: 'Show what fits: "reference=PATTERN", "label=NAME[=VALUE]", "before=IMAGE", "since=IMAGE", "until=TIME", "dangling=true|false"',
    }),
    format: text('format', { help: '"table", "table TEMPLATE", "json" or a Go template for each image' }),
    noTruncation: flag('no-trunc', { help: 'Do not truncate output' }),
    quiet: flag('quiet', { short: 'q', help: 'Only show image IDs' }),
    tree: flag('tree', { help: 'Show each image once, with its names, what it takes up, and whether a container uses it' }),
  },
  arguments: [0, 1],
  async run({ options, arguments: names }, around) {
    if (options.tree) refuseWithTree(options);
    const request = readFilters(options.filter, around.now());
    await using engine = await engineFor(around);
    const rows = listImages(engine, { ...request, all: options.all, references: [...names, ...request.references] });
    const { stdout } = around.streams;
    if (options.tree) {
      const containers = containersByImage(engine);
      const images = rows.map((row) => ({ ...row, isUsed: containers.has(row.id), contentSize: contentSize(engine, row.id) }));
      stdout.write(formatImageTree(images, stdout.isTTY === true));
      return 0;
    }
    const counts = needsCounts(options.format) ? containersByImage(engine) : undefined;
    const fields = rows.map((row) =>
      fieldsOf(row, { now: around.now(), full: options.noTruncation, containers: counts?.get(row.id) ?? 0 }),
    );
    stdout.write(options.quiet ? idLines(fields) : formatRows(fields, options.format, { titles, table: tableOf(options.digests) }));
    return 0;
  },
});

/** Containers are counted only where somebody asks for their number. */
function needsCounts(format: string | undefined): boolean {
  return format !== undefined && /json|Containers/u.test(format);
}

function refuseWithTree(
  options: { readonly format: string | undefined } & Readonly<Record<'quiet' | 'noTruncation' | 'digests', boolean>>,
): void {
  const given = [
    ['--format', options.format !== undefined],
    ['--quiet', options.quiet],
    ['--no-trunc', options.noTruncation],
    ['--digests', options.digests],
  ] as const;
  const name = given.find(([, isGiven]) => isGiven)?.[0];
  if (name !== undefined)
    throw new JettisonError('cli/bad-value', `${name} is not yet supported with --tree`, { hint: 'Leave one of the two out' });
}

function tableOf(digests: boolean): string {
  return `{{.Repository}}\t{{.Tag}}\t${digests ? '{{.Digest}}\t' : ''}{{.ID}}\t{{.CreatedSince}}\t{{.Size}}`;
}

/** An image with several names is one line for each, as docker has it. */
function idLines(rows: readonly Fields[]): string {
  return rows.map((row) => `${row['ID']}\n`).join('');
}

function fieldsOf(row: ImageRow, options: { readonly now: number; readonly full: boolean; readonly containers: number }): Fields {
  return {
    Containers: String(options.containers),
    CreatedAt: createdAt(row.created),
    CreatedSince: since(row.created, options.now),
    Digest: row.digest ?? '<none>',
    ID: options.full ? row.id : shortId(row.id),
    Repository: row.repository,
    SharedSize: 'N/A',
    Size: formatSize(row.size),
    Tag: row.tag,
    UniqueSize: 'N/A',
    VirtualSize: formatSize(row.size, 4),
  };
}

function readFilters(filters: readonly string[], now: number): Omit<ImageListRequest, 'all'> {
  const all = (wanted: string): readonly string[] =>
    filters.flatMap((filter) => (nameOf(filter) === wanted ? [filter.slice(filter.indexOf('=') + 1).trim()] : []));
  const unknown = filters.find((filter) => !['reference', 'before', 'since', 'until', 'label', 'dangling'].includes(nameOf(filter)));
  if (unknown !== undefined) throw badFilter(unknown, 'there is "reference", "label", "before", "since", "until" and "dangling"');
  const untils = all('until').map((value) => parseMoment(`until=${value}`, value, now));
  return {
    references: all('reference'),
    labels: all('label').flatMap((value) => parseLabelFilter(`label=${value}`) ?? []),
    dangling: readDangling(all('dangling')),
    before: all('before'),
    since: all('since'),
    until: untils.length === 0 ? undefined : Math.min(...untils),
  };
}

function nameOf(filter: string): string {
  return filter
    .slice(0, Math.max(0, filter.indexOf('=')))
    .trim()
    .toLowerCase();
}

function readDangling(values: readonly string[]): boolean | undefined {
  const wanted = values.map((value) => {
    const read = parseBoolean(value);
    if (read === undefined)
      throw new JettisonError('cli/bad-value', `invalid filter 'dangling=[${values.join(' ')}]'`, { hint: 'Use "true" or "false"' });
    return read;
  });
  return wanted.at(-1);
}
