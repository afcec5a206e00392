/** Looks up the images that the needed stages stand on or copy from, and adds the ONBUILD triggers of each base to the stage on it. */
import { suggest } from '#ground/base/human.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { Outside, ResolvedImage } from '#languages/frontend/contract.ts';
import type { StageInstruction } from '../ast.ts';
import { parseTrigger } from '../parse.ts';
import { neededStages, planStep, type Plan, type PlannedStage, type WantedImage } from './plan.ts';

export type ResolvedImages = { get(image: WantedImage): ResolvedImage | undefined };

/** Asks for each image once. Throws the first failure in the order of the file, with the place that wants the image. */
export async function resolveImages(
  plan: Plan,
  targets: readonly PlannedStage[],
  outside: Outside,
  signal: AbortSignal,
): Promise<ResolvedImages> {
  const found = new Map<string, ResolvedImage>();
  const get = (image: WantedImage): ResolvedImage | undefined => found.get(keyOf(image));
  const triggered = new Set<PlannedStage>();
  for (;;) {
    const stages = [...new Set(targets.flatMap(neededStages))].toSorted((a, b) => a.index - b.index);
    const missing = new Map(stages.flatMap(imagesOf).flatMap((image) => (get(image) ? [] : [[keyOf(image), image] as const])));
    const outcomes = await Promise.allSettled(
      [...missing.values()].map(async (image) => await outside.resolveImage(image.reference, image.platform, signal)),
    );
    for (const [index, image] of [...missing.values()].entries()) {
      const outcome = outcomes[index];
      if (outcome?.status === 'fulfilled') found.set(keyOf(image), outcome.value);
      else throw explain(outcome?.reason, image, plan);
    }
    const fresh = stages.filter((stage) => !triggered.has(stage));
    if (fresh.length === 0) return { get };
    for (const stage of fresh) {
      triggered.add(stage);
      addTriggers(stage, plan, get);
    }
  }
}

function keyOf(image: WantedImage): string {
  return JSON.stringify([image.reference, image.platform]);
}

function imagesOf(stage: PlannedStage): readonly WantedImage[] {
  const copied = stage.steps.flatMap((step) => step.origins.flatMap((origin) => (origin.kind === 'image' ? [origin.image] : [])));
  return stage.base.kind === 'image' ? [stage.base.image, ...copied] : copied;
}

/** A name close to a stage's is a misspelt stage, whatever the registry says to it. */
function explain(reason: unknown, image: WantedImage, plan: Plan): unknown {
  if (!(reason instanceof JettisonError)) return reason;
  const near = image.written.length > 80 ? undefined : suggest(image.written, plan.byName.keys());
  if (near === undefined) return reason.with({ at: image.at });
  return new JettisonError(
    'dockerfile/unknown-stage',
    `"${image.written}" is neither a stage nor an image that can be found: ${reason.message}`,
    {
      at: image.at,
      hint: `Did you mean the stage "${near}"?`,
      cause: reason,
      fault: reason.fault,
    },
  );
}

function addTriggers(stage: PlannedStage, plan: Plan, get: ResolvedImages['get']): void {
  const anchor = stage.source.from.span;
  const steps = triggersOf(stage, get).map((instruction) => planStep(instruction, plan, anchor));
  if (steps.length > 0) stage.steps.unshift(...steps);
}

function triggersOf(stage: PlannedStage, get: ResolvedImages['get']): readonly StageInstruction[] {
  if (stage.base.kind === 'scratch') return [];
  if (stage.base.kind === 'image') {
    return stage.isReplaced ? [] : triggersIn(stage.base.image, stage, get);
  }
  if (stage.base.kind === 'folder') return [];
  const below = stage.base.stage;
  if (below.isReplaced) return below.base.kind === 'image' ? triggersIn(below.base.image, stage, get) : [];
  return below.source.instructions.flatMap((instruction) => (instruction.kind === 'onbuild' ? [instruction.trigger] : []));
}

function triggersIn(image: WantedImage, stage: PlannedStage, get: ResolvedImages['get']): readonly StageInstruction[] {
  return (get(image)?.config.config?.OnBuild ?? []).map((expression) => readTrigger(expression, stage));
}

function readTrigger(expression: string, stage: PlannedStage): StageInstruction {
  const { from } = stage.source;
  const { instruction, diagnostics } = parseTrigger(expression, from.span.file);
  const [fault] = diagnostics;
  if (instruction && !fault) return instruction;
  throw new JettisonError(
    'dockerfile/bad-trigger',
    `Base image has a bad ONBUILD trigger "${expression.slice(0, 120)}": ${fault?.message ?? 'it is no single instruction'}`,
    {
      at: [from.span],
      hint: 'Use another base image, or have this one repaired',
    },
  );
}
