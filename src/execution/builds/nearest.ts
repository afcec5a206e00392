/** Which remembered key of the same step is nearest to the one a step has now: the fewest things differ, and the newest of equals. */
import type { CacheKey } from '#execution/cache/key.ts';
import { canonicalJson } from '#ground/base/canonical-json.ts';
import type { StepKey } from './step-key.ts';

export type EarlierStep = {
  readonly key: CacheKey;
  readonly recordKey: CacheKey;
  readonly text: string;
  readonly written: string | null;
  readonly stage: string | null;
  readonly step: number | null;
  readonly state: string;
  /** Of the two steps of one instruction the one that is not shown. */
  readonly isPart?: boolean;
};
/** `cache`: it was built elsewhere, and wrote this one. */
export type EarlierBuild = {
  readonly id: string;
  readonly steps: readonly EarlierStep[];
  readonly cache?: { readonly name: string; readonly mode: 'min' | 'max' };
};

export type Nearest = { readonly key: StepKey; readonly build: EarlierBuild };

type Step = StepKey & {
  readonly isPart: boolean;
  readonly from: readonly { readonly vertex: string }[];
  readonly vertex: string;
};

/** However much two keys differ, it counts less than one input that is the same. */
const mostDistance = 40;

type Placed = Pick<EarlierStep, 'stage' | 'written' | 'text' | 'isPart'>;

function instructionId({ stage, written, text, isPart }: Placed): string {
  return `${isPart === true ? 'part' : ''}\0${stage ?? ''}\0${written ?? text}`;
}

type Known<S> = {
  /** All steps of the build, also those that did not run. */
  readonly steps: readonly S[];
  /** Newest first. */
  readonly earlier: readonly EarlierBuild[];
  readonly keyOf: (key: CacheKey) => StepKey | undefined;
  /** In how many things the two differ by themselves. */
  readonly distance: (step: S, old: StepKey) => number;
};

/** The steps of one build by what they are asked for, each list in the order of the build. */
type Index<S> = {
  readonly byWords: ReadonlyMap<string, readonly EarlierStep[]>;
  readonly byKey: ReadonlyMap<CacheKey, readonly EarlierStep[]>;
  readonly byResult: ReadonlyMap<CacheKey, readonly EarlierStep[]>;
  /** Those whose instruction is not there any more, by stage. */
  readonly gone: ReadonlyMap<string, readonly EarlierStep[]>;
  /** Steps of now whose instruction was not there, by stage. */
  readonly added: ReadonlyMap<string, readonly S[]>;
};

function indexOf<S extends Step>({ steps }: EarlierBuild, now: readonly S[], instructions: ReadonlySet<string>): Index<S> {
  const before = new Set(steps.map(instructionId));
  const gone = steps.filter((step) => !instructions.has(instructionId(step)));
  return {
    byWords: Map.groupBy(steps, wordsOf),
    byKey: Map.groupBy(steps, ({ key }) => key),
    byResult: Map.groupBy(steps, ({ recordKey }) => recordKey),
    gone: Map.groupBy(gone, ({ stage }) => stage ?? ''),
    added: Map.groupBy(
      now.filter((step) => !before.has(instructionId(step))),
      ({ stage }) => stage ?? '',
    ),
  };
}

export type NearestKeys<S> = {
  /** The nearest key of the same step. Ask for inputs before what reads them: a step is looked for where its inputs were found. */
  of(step: S): Nearest | undefined;
  /** The nearest key of those that led to one result. */
  ofResult(step: S, recordKey: CacheKey): Nearest | undefined;
  /** The newest key that led to a result. */
  newestOf(recordKey: CacheKey): StepKey | undefined;
  /** What a build remembers of the step with this key. */
  stepIn(build: EarlierBuild, key: CacheKey): EarlierStep | undefined;
};

/** Of a long list of changed instructions those are looked at that stand about where the step stands: else the work would grow with the square. */
const [shortList, reach] = [64, 16];

function around<T extends { readonly step: number | null }>(list: readonly T[] | undefined, step: number | null): readonly T[] {
  if (list === undefined || list.length <= shortList) return list ?? [];
  // In the order of the build, which within one stage is that of their numbers.
  let [from, to] = [0, list.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if ((list[middle]?.step ?? 0) < (step ?? 0) - reach) from = middle + 1;
    else to = middle;
  }
  return list.slice(from, from + 2 * reach + 1);
}

function fewOf(list: readonly EarlierStep[] | undefined, { stage, step }: Pick<EarlierStep, 'stage' | 'step'>): readonly EarlierStep[] {
  if (list === undefined || list.length <= shortList) return list ?? [];
  return around(
    list.filter((old) => old.stage === stage),
    step,
  );
}

/** Keys that are looked at in one explanation: with many steps, each is compared with fewer builds. */
const [mostCompared, fewestBuilds] = [8000, 4];

export function nearestKeys<S extends Step>(known: Known<S>): NearestKeys<S> {
  const chosen = new Map<string, StepKey>();
  const ofResults = new Map<string, Nearest | undefined>();
  const instructions = new Set(known.steps.map(instructionId));
  const builds = known.earlier.slice(0, Math.max(fewestBuilds, Math.floor(mostCompared / Math.max(1, known.steps.length))));
  const indexes = new Map(builds.map((build) => [build, indexOf(build, known.steps, instructions)]));
  /** Is another step of this build more like it? */
  const isTaken = (step: S, old: EarlierStep, build: EarlierBuild): boolean => {
    const own = likeness(step, old);
    const others = around(indexes.get(build)?.added.get(old.stage ?? ''), old.step);
    return others.some((other) => other !== step && likeness(other, old) > own);
  };
  const best = (step: S, candidateOf: (build: EarlierBuild) => EarlierStep | undefined): Nearest | undefined => {
    const tried = new Set<CacheKey>();
    let found: (Nearest & { readonly score: number }) | undefined;
    for (const build of builds) {
      const old = candidateOf(build);
      if (old === undefined || tried.has(old.key)) continue;
      tried.add(old.key);
      const key = known.keyOf(old.key);
      if (key === undefined) continue;
      const score = likeness(step, old) + sameParts(step, key, chosen) - Math.min(mostDistance, known.distance(step, key));
      if (found === undefined || score > found.score) found = { key, build, score };
    }
    return found;
  };
  return {
    of(step) {
      const found = best(step, (build) => candidate(step, build, { instructions, isTaken, index: indexes.get(build) }));
      if (found !== undefined) chosen.set(step.vertex, found.key);
      return found;
    },
    ofResult(step, recordKey) {
      const id = `${step.vertex} ${recordKey}`;
      if (ofResults.has(id)) return ofResults.get(id);
      const found = best(step, (build) => indexes.get(build)?.byResult.get(recordKey)?.[0]);
      ofResults.set(id, found);
      return found;
    },
    newestOf(recordKey) {
      for (const build of builds) {
        const step = indexes.get(build)?.byResult.get(recordKey)?.[0];
        if (step !== undefined) return known.keyOf(step.key);
      }
      return undefined;
    },
    stepIn: (build, key) => indexes.get(build)?.byKey.get(key)?.[0],
  };
}

/** The step of the build that is most like this one: the same instruction, or one in its place that nothing else stands for. */
function candidate<S extends Step>(
  step: S,
  build: EarlierBuild,
  now: {
    readonly instructions: ReadonlySet<string>;
    readonly isTaken: (step: S, old: EarlierStep, build: EarlierBuild) => boolean;
    readonly index: Index<S> | undefined;
  },
): EarlierStep | undefined {
  const among = (steps: readonly EarlierStep[] = []): EarlierStep | undefined => likest(step, steps, now.instructions);
  // One of the same key is more like it than one of the same words, and that than any other: see likeness.
  const { index } = now;
  const best =
    among(index?.byKey.get(step.key)) ??
    among(fewOf(index?.byWords.get(wordsOf(step)), step)) ??
    among(around(index?.gone.get(step.stage ?? ''), step.step));
  return best === undefined || isSameText(step, best) || !now.isTaken(step, best, build) ? best : undefined;
}

function likest(step: Step, steps: readonly EarlierStep[], instructions: ReadonlySet<string>): EarlierStep | undefined {
  let best: EarlierStep | undefined;
  let bestScore = 0;
  for (const old of steps) {
    const isSame = isSameText(step, old);
    if ((old.stage !== step.stage && !isSame) || (old.step === null) !== (step.step === null)) continue;
    if ((old.isPart ?? false) !== step.isPart) continue;
    // Another step is that very instruction.
    if (!isSame && instructions.has(instructionId(old))) continue;
    const score = likeness(step, old);
    if (score > bestScore) [best, bestScore] = [old, score];
  }
  return best;
}

function wordsOf({ written, text }: Pick<EarlierStep, 'written' | 'text'>): string {
  return written ?? text;
}

function isSameText(step: Step, old: EarlierStep): boolean {
  return old.written === step.written && step.written !== null;
}

/** By place and words alone. */
function likeness(step: Step, old: EarlierStep): number {
  if (old.key === step.key) return 10_000;
  const [from, to] = [wordsOf(old), wordsOf(step)];
  const words = from === to ? 1000 : 400 * similarity(from, to);
  const distance = Math.abs((old.step ?? 0) - (step.step ?? 0));
  return 1 + words + (old.stage === step.stage ? 100 : 0) + 60 - Math.min(60, distance * 15);
}

function sameParts(step: Step, old: StepKey, chosen: ReadonlyMap<string, StepKey>): number {
  let score = canonicalJson(old.op) === canonicalJson(step.op) ? 300 : 0;
  for (const [index, input] of step.inputs.entries()) {
    const [content, before] = [step.contents[index], old.inputs[index]];
    if (content !== null && content !== undefined && content === old.contents[index]) score += 100;
    else if (before === undefined || !('result' in before)) continue;
    else if ('result' in input && input.result === before.result) score += 100;
    else if (chosen.get(step.from[index]?.vertex ?? '')?.recordKey === before.result) score += 50;
  }
  return score;
}

/** 0 to 1: how much of two texts is the same at their beginnings and ends. */
function similarity(a: string, b: string): number {
  const shorter = Math.min(a.length, b.length);
  let start = 0;
  while (start < shorter && a[start] === b[start]) start++;
  let end = 0;
  while (end < shorter - start && a.at(-1 - end) === b.at(-1 - end)) end++;
  return (start + end) / Math.max(a.length, b.length, 1);
}
