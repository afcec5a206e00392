/** The steps of a build as the payload check takes them: which stages there are, and which layers were copied. */
import type { SnapshotId } from '#execution/worker/contract.ts';
import type { CopiedLayer } from '#execution/worker/contract.ts';

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

/** Layers of the final stage that COPY or ADD made, in the order of the file. */
export function copiedLayers(steps: readonly StepFact[]): readonly CopiedLayer[] {
  const final = finalStage(steps);
  return steps.flatMap(({ text, stage, snapshot }) => {
    const words = stage === final && snapshot !== undefined ? copyWords(text) : undefined;
    if (words === undefined || snapshot === undefined) return [];
    const from = fromOf(text);
    const isChecked = from !== undefined || /^ADD\b/iu.test(text);
    const sources = words.slice(0, -1).map((path) => (path.startsWith('/') ? path : `/${path}`));
    return [{ snapshot, isChecked, stage: from, sources, destination: words.at(-1) ?? '/' }];
  });
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

/** Sources and destination; undefined for other instructions, and for what cannot be read like this. */
function copyWords(text: string): readonly string[] | undefined {
  const rest = /^(?:COPY|ADD)\s+(?:--\S+\s+)*(?<rest>.+)$/iu.exec(text)?.groups?.['rest'];
  if (rest === undefined) return undefined;
  const words = rest.startsWith('[') ? jsonWords(rest) : rest.split(/\s+/u);
  return words === undefined || words.length < 2 ? undefined : words;
}

function jsonWords(text: string): readonly string[] | undefined {
  try {
    const words: unknown = JSON.parse(text);
    return Array.isArray(words) && words.every((word) => typeof word === 'string') ? words : undefined;
  } catch {
    return undefined;
  }
}
