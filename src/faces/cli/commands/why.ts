import { pastBuild } from '#engine/past-builds.ts';
import { whyOfStep } from '#engine/why-step.ts';
import type { BuildChoice, PastBuildDetails, Why, WhyStep } from '#engine/past-build-requests.ts';
import { whyDocument } from '#faces/documents/make-why.ts';
import { formatDuration } from '#ground/base/human.ts';
import { defineCommand } from '../command.ts';
import { engineFor } from '../engine.ts';
import { flag, parsed, text } from '../option.ts';
import { readPlace } from '../option-values.ts';
import { goJson } from '#ground/base/go-json.ts';
import { harmless } from '../output/text.ts';
import { changeText, rootLine, stepText } from '../output/why.ts';

export const whyCommand = defineCommand({
  name: 'why',
  summary: 'Say why the steps of a build ran again',
  usage: '[OPTIONS] [STEP]',
  options: {
    all: flag('all', { short: 'a', help: 'Tell of each step that ran, not of the causes alone' }),
    build: text('build', { value: 'id', help: 'A build of "jettison builds" (default: the last one)' }),
    json: flag('json', { help: 'Print JSON' }),
    last: parsed(
      'last',
      { value: 'number', initial: 1, help: 'The build at this place, counted back from the last, which is 1' },
      readPlace,
    ),
  },
  arguments: [0, 1],
  async run({ options, arguments: [step] }, around) {
    const choice: BuildChoice = options.build === undefined ? { kind: 'place', place: options.last } : { kind: 'id', id: options.build };
    await using engine = await engineFor(around);
    const build = await pastBuild(engine, choice);
    const why = step === undefined ? build.why : whyOfStep(build, step);
    if (options.json) around.streams.stdout.write(`${goJson(whyDocument(build, why))}\n`);
    else
      around.streams.stdout.write(
        linesOf(build, why, options.all || step !== undefined)
          .map((line) => `${line}\n`)
          .join(''),
      );
    return 0;
  },
});

function linesOf(build: PastBuildDetails, why: Why | undefined, all: boolean): readonly string[] {
  if (build.status === 'running' || build.status === 'interrupted')
    return [`Build ${build.id}: it has not come to its end (${build.status})`];
  const ran = build.steps.filter(({ key, state }) => key !== undefined && (state === 'ran' || state === 'failed'));
  if (ran.length === 0) return [`Build ${build.id}: nothing ran, ${build.total} of ${build.total} steps were cached`];
  if (why === undefined) return [`Build ${build.id}: nothing like it was built before`];
  if (why.steps.length === 0) return [`Build ${build.id}: this step did not run`];
  const file = harmless(build.dockerfile, false);
  if (!all) return why.roots.toSorted((a, b) => b.cost + b.behindCost - a.cost - a.behindCost).flatMap((root) => rootLines(root, file));
  return why.steps.flatMap((step) => stepLines(step, why, file));
}

function rootLines(root: Why['roots'][number], file: string): readonly string[] {
  const more = root.changes.length > 1 ? root.changes.map((change) => `  - ${changeText(change)}`) : [];
  return [rootLine(root, file), ...more, ...(root.more > 0 ? [`  - and ${root.more} more`] : [])];
}

function stepLines(step: WhyStep, why: Why, file: string): readonly string[] {
  const causes = step.causes.flatMap((index) => why.roots[index] ?? []);
  return [
    `${stepText(step, file)} ran for ${formatDuration(step.cost)}:`,
    ...causes.flatMap((root) => {
      const isOwn = root.text === step.text && root.stage === step.stage && root.step === step.step;
      const at = isOwn ? '' : `${stepText(root, file)}: `;
      return root.changes.map((change) => `  - ${at}${changeText(change)}`);
    }),
  ];
}
