import { pastBuild } from '#engine/past-builds.ts';
import type { BuildStep, PastBuildDetails } from '#engine/past-build-requests.ts';
import type { Json } from '#ground/base/canonical-json.ts';
import { formatDuration, formatSize } from '#ground/base/human.ts';
import { defineCommand } from '../command.ts';
import { engineFor } from '../engine.ts';
import { text } from '../option.ts';
import { goJson } from '../output/go-json.ts';
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
  const document = documentOf(build);
  return format === 'json' ? `${goJson(document)}\n` : `${compileTemplate(unescapeFormat(format))(document)}\n`;
}

function documentOf(build: PastBuildDetails): Json {
  const { why, steps, error, ...facts } = build;
  return {
    ID: facts.id,
    Names: [...facts.names],
    Status: facts.status,
    Context: facts.context,
    Dockerfile: facts.dockerfile,
    Target: facts.target,
    Platform: facts.platform,
    StartedAt: new Date(facts.startedAt).toISOString(),
    CompletedAt: facts.finishedAt === 0 ? null : new Date(facts.finishedAt).toISOString(),
    Duration: facts.finishedAt === 0 ? null : facts.finishedAt - facts.startedAt,
    NumTotalSteps: facts.total,
    NumCachedSteps: facts.cached,
    NumWarnings: facts.warnings,
    ReadBytes: facts.readBytes,
    PulledBytes: facts.pulledBytes,
    ImageID: facts.imageId,
    Error: error === null ? null : { Code: error.code, Message: error.message },
    Steps: steps.map(stepDocument),
    Why: why === undefined ? null : { roots: why.roots.map((root) => ({ ...root, changes: root.changes.map((one) => ({ ...one })) })) },
  };
}

function stepDocument(step: BuildStep): Json {
  return {
    Vertex: step.vertex,
    Name: nameOf(step),
    Line: step.line,
    State: step.state,
    StartedAt: step.startedAt === 0 ? null : new Date(step.startedAt).toISOString(),
    Duration: step.finishedAt === 0 ? null : step.finishedAt - step.startedAt,
    Key: step.key ?? null,
    Message: step.message ?? null,
  };
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
    .map((step) => [step.state, step.finishedAt === 0 ? '' : formatDuration(step.finishedAt - step.startedAt), nameOf(step)]);
  const why = whyLines(build.why, build.dockerfile);
  const table = [['STATE', 'TIME', 'STEP'], ...steps].map((row) => row.map((cell) => harmless(cell.replaceAll(/\s*\n\s*/gu, ' '), false)));
  return [
    formatTable(rows.map((row) => row.map((cell) => harmless(cell.replaceAll('\n', ' '), false)))),
    formatTable(table),
    ...(why.length === 0 ? [] : [`${why.join('\n')}\n`]),
  ].join('\n');
}

function nameOf({ text: words, stage, step, steps }: BuildStep): string {
  const place = [stage ?? '', step === null ? '' : `${step}/${steps ?? step}`].filter((part) => part !== '').join(' ');
  return place === '' ? words : `[${place}] ${words}`;
}
