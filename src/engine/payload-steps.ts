/** The steps of a build as the payload check takes them: which stages there are, and which layers were copied. */
import type { PayloadRecord, SnapshotId } from '#execution/worker/contract.ts';

/** One step of the build that made an image, inputs before what reads them. */
export type StepFact = {
  /** As it is shown: `COPY --from=build /app /app`. */
  readonly text: string;
  readonly stage: string | undefined;
  readonly line: number | undefined;
  /** undefined for what has no files here. */
  readonly snapshot: SnapshotId | undefined;
};

export type Stages = readonly { readonly name: string; readonly top: SnapshotId }[];

/** What stands after each stage, but for the final one; the ones that the final stage copies from first. */
export function stagesOf(steps: readonly StepFact[]): Stages {
  const final = finalStage(steps);
  const tops = new Map<string, SnapshotId>();
  for (const { stage, snapshot } of steps)
    if (stage !== undefined && stage !== final && snapshot !== undefined) tops.set(fromWord(stage), snapshot);
  const copied = new Set(steps.filter(({ stage }) => stage === final).flatMap(({ text }) => fromOf(text) ?? []));
  const all = [...tops].map(([name, top]) => ({ name, top }));
  return [...all.filter(({ name }) => copied.has(name)), ...all.filter(({ name }) => !copied.has(name))];
}

/** Layers of the final stage whose programs count, in the order of the file: what COPY took of a stage or an image, and what ADD brought. */
export function copiedLayers(steps: readonly StepFact[]): readonly SnapshotId[] {
  const final = finalStage(steps);
  return steps.flatMap(({ text, stage, snapshot }) => {
    const isCopied = stage === final && (fromOf(text) !== undefined || /^ADD\s/iu.test(text));
    return isCopied && snapshot !== undefined ? [snapshot] : [];
  });
}

/** The record with its stages named as here. */
export function withStageNames({ steps, layers }: PayloadRecord): PayloadRecord {
  return { layers, steps: steps.map((step) => ({ ...step, stage: step.stage === null ? null : fromWord(step.stage) })) };
}

/** The last step is the goal's. */
export function finalStage(steps: readonly StepFact[]): string | undefined {
  return steps.at(-1)?.stage;
}

/** A stage without a name is shown as `stage-1`, and named by its number. */
export function fromWord(stage: string): string {
  return /^stage-(?<number>\d+)$/u.exec(stage)?.groups?.['number'] ?? stage;
}

/** What `--from` of a COPY says, in lower case. */
export function fromOf(text: string): string | undefined {
  const word = /^COPY(?:\s+--[\w-]+(?:=\S*)?)*?\s+--from=(?<name>\S+)/iu.exec(text)?.groups?.['name'];
  return word?.toLowerCase();
}
