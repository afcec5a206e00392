import { listBuilds } from '#engine/past-builds.ts';
import type { PastBuild } from '#engine/past-build-requests.ts';
import { formatDuration } from '#ground/base/human.ts';
import { defineCommand } from '../command.ts';
import { engineFor } from '../engine.ts';
import { flag, list, parsed, text } from '../option.ts';
import { readPlace } from '../option-values.ts';
import { formatRows, type Fields } from '../output/rows.ts';
import { createdAt, since } from '../output/stamp.ts';
import { harmless } from '../output/text.ts';

const titles = {
  ID: 'BUILD ID',
  Name: 'NAME',
  Status: 'STATUS',
  CreatedAt: 'CREATED AT',
  CreatedSince: 'CREATED',
  Duration: 'DURATION',
  Steps: 'STEPS',
  Cached: 'CACHED',
  Error: 'ERROR',
  Image: 'IMAGE ID',
  Dockerfile: 'DOCKERFILE',
  Context: 'CONTEXT',
};
const table = '{{.ID}}\t{{.Name}}\t{{.Status}}\t{{.CreatedSince}}\t{{.Duration}}\t{{.Steps}}\t{{.Cached}}';

export const buildsCommand = defineCommand({
  name: 'builds',
  summary: 'List the builds that were',
  usage: '[OPTIONS]',
  options: {
    format: text('format', { help: '"table", "table TEMPLATE", "json" or a Go template for each build' }),
    last: parsed<number | undefined>(
      'last',
      { short: 'n', value: 'number', initial: undefined, help: 'Show this many, the newest' },
      readPlace,
    ),
    filter: list('filter', {
      value: 'stringArray',
      help: 'Show only what fits: "status=error", "ref=ID", "repository=ADDRESS", "startedAt>24h", "completedAt<2026-01-31T10:00:00Z", "duration>30s"',
    }),
    local: flag('local', { help: 'Show only builds of this project: of the Git working tree, else of the current folder' }),
    noTrunc: flag('no-trunc', { help: 'Accepted, changes nothing: nothing is cut short' }),
    quiet: flag('quiet', { short: 'q', help: 'Only show build IDs' }),
  },
  arguments: [0, 0],
  async run({ options }, around) {
    await using engine = await engineFor(around);
    const builds = await listBuilds(engine, { filters: options.filter, isLocal: options.local });
    const rows = builds.slice(0, options.last).map((build) => fieldsOf(build, around.now()));
    around.streams.stdout.write(
      options.quiet ? rows.map((row) => `${row['ID']}\n`).join('') : formatRows(rows, options.format, { titles, table }),
    );
    return 0;
  },
});

const statusWords = { running: 'Running', done: 'Completed', failed: 'Error', cancelled: 'Canceled', interrupted: 'Interrupted' } as const;

function fieldsOf(build: PastBuild, now: number): Fields {
  const name = build.names[0] ?? `${build.context}/${build.dockerfile}`;
  const isOver = build.finishedAt > 0;
  return {
    ID: build.id,
    Name: harmless(name, false),
    Status: statusWords[build.status],
    CreatedAt: createdAt(build.startedAt),
    CreatedSince: since(build.startedAt, now),
    Duration: isOver ? formatDuration(build.finishedAt - build.startedAt) : '',
    Steps: String(build.total),
    Cached: String(build.cached),
    Error: harmless((build.error?.message ?? '').replaceAll('\n', ' '), false),
    Image: build.imageId ?? '',
    Dockerfile: harmless(build.dockerfile, false),
    Context: harmless(build.context, false),
  };
}
