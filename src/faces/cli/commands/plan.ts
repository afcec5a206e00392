import { planBuild } from '#engine/plan.ts';
import type { BuildPlan, PlannedStep } from '#engine/build-requests.ts';
import { planDocument } from '#faces/documents/make-plan.ts';
import { formatDuration, formatSize } from '#ground/base/human.ts';
import { defineCommand } from '../command.ts';
import { engineFor } from '../engine.ts';
import { choice } from '../option.ts';
import { goJson } from '#ground/base/go-json.ts';
import { formatTable } from '../output/table.ts';
import { harmless } from '../output/text.ts';
import { unbuiltLines } from '../output/unbuilt.ts';
import { asBuild, questionOptions } from './build-question.ts';
import { notBuiltOptions, requestOf } from './build-request.ts';
import { readRetries } from './retry-options.ts';

const options = {
  ...questionOptions,
  format: choice('format', { words: ['table', 'json'], initial: 'table', help: 'How it is printed (default "table")' }),
};

export const planCommand = defineCommand({
  name: 'plan',
  summary: 'Show what a build would run, without running anything',
  usage: '[OPTIONS] PATH | ADDRESS | -',
  options,
  notBuilt: notBuiltOptions,
  arguments: [1, 1],
  async run(given, around, signal) {
    const { isolation } = given.options;
    const request = await requestOf(asBuild(given.options), given.arguments[0] ?? '', around, signal);
    await using engine = await engineFor(around, {
      network: readRetries(given.options),
      ...(isolation === undefined ? {} : { isolation }),
    });
    const plan = await planBuild(engine, request, signal);
    for (const warning of plan.warnings) around.streams.stderr.write(`${harmless(warning, false)}\n`);
    around.streams.stdout.write(given.options.format === 'json' ? `${goJson(planDocument(plan))}\n` : describe(plan));
    return 0;
  },
});

const words = { cached: 'cached', skipped: 'not needed', run: 'run', unknown: 'perhaps' } as const;

function describe(plan: BuildPlan): string {
  const rows = plan.steps.map((step) => [words[step.state], timeText(step), nameOf(step, plan.file)]);
  const run = plan.steps.filter((step) => step.state === 'run').length;
  const perhaps = plan.steps.filter((step) => step.state === 'unknown').length;
  const counts = [
    `${run} of ${plan.steps.length} steps would run`,
    ...(perhaps > 0 ? [`${perhaps} more perhaps: that depends on what comes of those before`] : []),
  ];
  const time =
    plan.atMost > plan.expected ? `${formatDuration(plan.expected)} to ${formatDuration(plan.atMost)}` : formatDuration(plan.expected);
  const isGuess = plan.steps.some((step) => step.expected === null);
  const effort = [
    ...(run + perhaps > 0 ? [`about ${time} of work${isGuess ? ' beside what never ran' : ''}`] : []),
    ...(plan.pull > 0 ? [`${formatSize(plan.pull)} to pull`] : []),
  ];
  return `${formatTable([['STATE', 'TIME', 'STEP'], ...rows])}\n${[...counts, ...effort].join('; ')}\n${unbuiltLines(plan.unbuilt)
    .map((line) => `${line}\n`)
    .join('')}`;
}

function timeText({ state, expected }: PlannedStep): string {
  if (state !== 'run' && state !== 'unknown') return '';
  return expected === null ? '?' : formatDuration(expected);
}

function nameOf({ text, stage, step, steps, line }: PlannedStep, file: string): string {
  const place = [stage ?? '', step === null ? '' : `${step}/${steps ?? step}`].filter((part) => part !== '').join(' ');
  const name = `${place === '' ? '' : `[${place}] `}${text}${line === null ? '' : ` (${file}:${line})`}`;
  return harmless(name.replaceAll(/\s*\n\s*/gu, ' '), false);
}
