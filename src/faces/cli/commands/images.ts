import { listImages } from '#engine/images.ts';
import type { ImageRow } from '#engine/image-requests.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { formatSize } from '#ground/base/human.ts';
import { defineCommand } from '../command.ts';
import { engineFor } from '../engine.ts';
import { flag, list, text } from '../option.ts';
import { formatRows, type Fields } from '../output/rows.ts';
import { createdAt, shortId, since } from '../output/stamp.ts';

const titles = {
  Repository: 'REPOSITORY',
  Tag: 'TAG',
  Digest: 'DIGEST',
  ID: 'IMAGE ID',
  CreatedSince: 'CREATED',
  CreatedAt: 'CREATED AT',
  Size: 'SIZE',
  Containers: 'CONTAINERS',
  SharedSize: 'SHARED SIZE',
  UniqueSize: 'UNIQUE SIZE',
};

export const imagesCommand = defineCommand({
  name: 'images',
  summary: 'List images',
  usage: '[OPTIONS] [REPOSITORY[:TAG]]',
  options: {
    all: flag('all', { short: 'a', help: 'Show all images (there are no intermediate images to hide)' }),
    digests: flag('digests', { help: 'Show digests' }),
    filter: list('filter', { short: 'f', value: 'filter', help: 'Show what fits: "reference=PATTERN", "dangling=true|false"' }),
    format: text('format', { help: '"table", "table TEMPLATE", "json" or a Go template for each image' }),
    noTruncation: flag('no-trunc', { help: 'Do not truncate output' }),
    quiet: flag('quiet', { short: 'q', help: 'Only show image IDs' }),
  },
  notBuilt: 'tree',
  arguments: [0, 1],
  async run({ options, arguments: names }, around) {
    const filters = readFilters(options.filter);
    await using engine = await engineFor(around);
    const references = [...names, ...filters.references];
    const found =
      references.length === 0
        ? listImages(engine, { all: options.all })
        : references.flatMap((filter) => listImages(engine, { filter, all: options.all }));
    const rows = distinct(found).filter((row) => filters.dangling === undefined || isDangling(row) === filters.dangling);
    const fields = rows.map((row) => fieldsOf(row, { now: around.now(), full: options.noTruncation }));
    around.streams.stdout.write(
      options.quiet ? idLines(fields) : formatRows(fields, options.format, { titles, table: tableOf(options.digests) }),
    );
    return 0;
  },
});

function tableOf(digests: boolean): string {
  return `{{.Repository}}\t{{.Tag}}\t${digests ? '{{.Digest}}\t' : ''}{{.ID}}\t{{.CreatedSince}}\t{{.Size}}`;
}

function idLines(rows: readonly Fields[]): string {
  return rows.map((row) => `${row['ID']}\n`).join('');
}

function fieldsOf(row: ImageRow, options: { readonly now: number; readonly full: boolean }): Fields {
  return {
    Containers: 'N/A',
    CreatedAt: createdAt(row.created),
    CreatedSince: since(row.created, options.now),
    Digest: row.digest ?? '<none>',
    ID: options.full ? row.id : shortId(row.id),
    Repository: row.repository,
    SharedSize: 'N/A',
    Size: formatSize(row.size),
    Tag: row.tag,
    UniqueSize: 'N/A',
  };
}

function isDangling(row: ImageRow): boolean {
  return row.repository === '<none>' && row.tag === '<none>';
}

/** Several references may find an image twice. */
function distinct(rows: readonly ImageRow[]): readonly ImageRow[] {
  return [...new Map(rows.map((row) => [`${row.repository} ${row.tag} ${row.digest ?? ''} ${row.id}`, row])).values()];
}

function readFilters(filters: readonly string[]): { readonly references: readonly string[]; readonly dangling: boolean | undefined } {
  const references: string[] = [];
  let dangling: boolean | undefined;
  for (const filter of filters) {
    const [name = '', ...rest] = filter.split('=');
    const value = rest.join('=');
    if (rest.length === 0) throw new JettisonError('cli/bad-value', `Invalid filter "${filter}"`, { hint: 'A filter is NAME=VALUE' });
    if (name === 'reference') references.push(value);
    else if (name === 'dangling' && /^(?:true|false|1|0)$/u.test(value)) dangling = value === 'true' || value === '1';
    else if (name === 'dangling') throw new JettisonError('cli/bad-value', `Invalid filter "${filter}"`, { hint: 'Use "true" or "false"' });
    else if (['before', 'since', 'until', 'label'].includes(name))
      throw new JettisonError('cli/not-built', `The filter "${name}" is not built yet`);
    else throw new JettisonError('cli/bad-value', `Unknown filter "${name}"`, { hint: 'There is "reference" and "dangling"' });
  }
  return { references, dangling };
}
