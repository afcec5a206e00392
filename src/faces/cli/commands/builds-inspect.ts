import { pastBuild } from '#engine/past-builds.ts';
import type { PastBuildDetails } from '#engine/past-build-requests.ts';
import { buildRecordDocument, stepName } from '#faces/documents/make-build-record.ts';
import { formatDuration, formatSize } from '#ground/base/human.ts';
import { defineCommand } from '../command.ts';
import { engineFor } from '../engine.ts';
import { text } from '../option.ts';
import { goJson } from '#ground/base/go-json.ts';
import { isoSeconds } from '../output/stamp.ts';
import { formatTable } from '../output/table.ts';
import { compileTemplate, unescapeFormat } from '../output/template.ts';
import { harmless } from '../output/text.ts';
import { whyLines } from '../output/why.ts';
import { readBuild } from './build-choice.ts';

export const inspectBuildCommand = defineCommand({
  name: 'builds inspect',
  summary: 'Show what is known of a build and its steps',
  usage: '[OPTIONS] [BUILD]',
  options: { format: text('format', { short: 'f', help: '"json" or a Go template' }) },
  arguments: [0, 1],
  async run({ options: { format }, arguments: [id] }, around) {
    await using engine = await engineFor(around);
    const build = await pastBuild(engine, readBuild(id));
    around.streams.stdout.write(format === undefined || format === '' ? describe(build) : formatted(build, format));
    return 0;
  },
});

function formatted(build: PastBuildDetails, format: string): string {
  const document = buildRecordDocument(build);
  return format === 'json' ? `${goJson(document)}\n` : `${compileTemplate(unescapeFormat(format))(document)}\n`;
}

function describe(build: PastBuildDetails): string {
  const rows = [
    ['Build:', build.id],
    ['Names:', build.names.join(' ') || '-'],
    ['Status:', build.status],
    ['Context:', build.context],
    ['Dockerfile:', build.dockerfile],
    ...(build.target === null ? [] : [['Target:', build.target]]),
    ...(build.platform === null ? [] : [['Platform:', build.platform]]),
    ['Started:', isoSeconds(build.startedAt)],
    ...(build.finishedAt === 0 ? [] : [['Duration:', formatDuration(build.finishedAt - build.startedAt)]]),
    ['Steps:', `${build.total}, ${build.cached} of them cached`],
    ['Context read:', formatSize(build.readBytes)],
    ['Pulled:', formatSize(build.pulledBytes)],
    ...(build.imageId === null ? [] : [['Image:', build.imageId]]),
    ...(build.error === null ? [] : [['Error:', `${build.error.message} (${build.error.code})`]]),
  ];
  const steps = build.steps
    .filter(({ isPart }) => isPart !== true)
    .map((step) => [
      step.state === 'waiting' ? 'not reached' : step.state,
      step.finishedAt === 0 ? '' : formatDuration(step.finishedAt - step.startedAt),
      stepName(step),
    ]);
  const why = whyLines(build.why, build.dockerfile);
  const table = [['STATE', 'TIME', 'STEP'], ...steps].map((row) => row.map((cell) => harmless(cell.replaceAll(/\s*\n\s*/gu, ' '), false)));
  return [
    formatTable(rows.map((row) => row.map((cell) => harmless(cell.replaceAll('\n', ' '), false)))),
    formatTable(table),
    ...(why.length === 0 ? [] : [`${why.join('\n')}\n`]),
  ].join('\n');
}
