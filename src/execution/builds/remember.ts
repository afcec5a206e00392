/** Keeps the keys of what a build ran, and compares them with those of earlier builds. */
import { cacheKey, type CacheKey } from '#execution/cache/key.ts';
import type { Vertex } from '#formats/graph/vertex.ts';
import type { Digest } from '#ground/base/digest.ts';
import { clean } from '#ground/base/errors.ts';
import type { FileList } from '#stores/context/file-list.ts';
import { explain, type Explanation, type NowStep, type Root } from './explain.ts';
import type { Followed } from './follow.ts';
import { buildOfCache, type MemoryStep, type ToldCache } from './memory.ts';
import type { EarlierBuild } from './nearest.ts';
import type { BuildStep, Why, WhyRoot } from './past-build.ts';
import type { RecorderOptions } from './recorder.ts';
import { stepKeyOf, type StepKey } from './step-key.ts';
import type { BuildStore } from './store.ts';

/** How many earlier builds a build is compared with. */
const compared = 20;

export type Remembering = {
  /** Keeps the keys of what ran. Gives why steps ran; undefined when nothing like this was built before. `caches`: those elsewhere that the build asked. */
  finish(followed: ReadonlyMap<Digest, Followed>, caches: readonly ToldCache[]): Why | undefined;
};

/** Reads the earlier builds; call it beside the first steps. */
export function startRemembering(store: BuildStore, options: RecorderOptions): Remembering {
  const earlier = store
    .stepsOf(options.project, options.facts.names, compared + 1)
    .filter(({ id }) => id !== options.id)
    .map((build): EarlierBuild => ({ id: build.id, steps: build.steps.flatMap(earlierStep) }))
    .filter((build) => build.steps.length > 0);
  return {
    finish: (followed, caches) => {
      const elsewhere = caches.flatMap((cache) => buildOfCache(cache) ?? []);
      return remember(followed, [...earlier, ...elsewhere], { store, options, caches });
    },
  };
}

function remember(
  followed: ReadonlyMap<Digest, Followed>,
  earlier: readonly EarlierBuild[],
  { store, options, caches }: { readonly store: BuildStore; readonly options: RecorderOptions; readonly caches: readonly ToldCache[] },
): Why | undefined {
  const told = toldKeys(caches);
  const steps = new Map<Digest, RememberedStep>();
  for (const [digest, one] of followed) {
    const step = nowStep(one, options);
    if (step !== undefined) steps.set(digest, withContents(step, told.get(step.key)));
  }
  const toldFiles = (content: CacheKey): FileList | undefined => {
    for (const { memory } of caches) if (memory?.files.has(content) === true) return memory.files.get(content);
    return undefined;
  };
  const filesOf = memoized(
    (content) => options.filesOf(content) ?? store.filesOf(content) ?? toldFiles(content) ?? options.listFiles(content),
  );
  const ran = [...steps.values()].filter((step) => followed.get(step.vertex)?.missed === true);
  const explanation =
    (earlier.length === 0 && caches.length === 0) || ran.length === 0
      ? undefined
      : explain(ran, {
          step: (vertex) => steps.get(vertex),
          steps: [...steps.values()],
          earlier,
          keyOf: (key) => store.keyOf(key) ?? told.get(key),
          filesOf,
          evicted: options.evicted,
          caches,
        });
  keepKeys([...steps.values()], store, filesOf);
  return explanation && inWords(explanation, followed, steps);
}

/** A list of many files is not made twice. */
function memoized(filesOf: RecorderOptions['filesOf']): RecorderOptions['filesOf'] {
  const known = new Map<CacheKey, FileList | undefined>();
  return (content) => {
    if (!known.has(content)) known.set(content, filesOf(content));
    return known.get(content);
  };
}

function toldKeys(caches: readonly ToldCache[]): ReadonlyMap<CacheKey, StepKey> {
  return new Map(caches.flatMap(({ memory }) => memory?.steps ?? []).map((step) => [step.key, step]));
}

/** With what is remembered of the digests that were read: a step that was found by its definition did not read anything. */
export function withContents<T extends StepKey>(step: T, known: StepKey | undefined): T {
  if (known === undefined || !step.contents.includes(null)) return step;
  return { ...step, contents: step.contents.map((content, index) => content ?? known.contents[index] ?? null) };
}

/** Those of steps that ran, those that lead to a known result in a new way, and those whose results lie elsewhere. */
function keepKeys(steps: readonly RememberedStep[], store: BuildStore, filesOf: RecorderOptions['filesOf']): void {
  const news = steps.filter((step) => step.isNew);
  for (const content of new Set(news.flatMap((step) => step.contents))) {
    const files = content === null ? undefined : filesOf(content);
    if (content !== null && files !== undefined) store.saveFiles(content, files);
  }
  store.saveKeys(news);
}

type RememberedStep = NowStep & { readonly isNew: boolean };

function nowStep(followed: Followed, { forcedBy, caches }: Pick<RecorderOptions, 'forcedBy' | 'caches'>): RememberedStep | undefined {
  const { vertex, lookedUpBy, solved, missed } = followed;
  const step = keyedStep(followed);
  if (vertex === undefined || step === undefined) return undefined;
  const state = missed ? (followed.state === 'ran' ? 'ran' : 'failed') : followed.state === 'skipped' ? 'skipped' : 'cached';
  return {
    ...step,
    vertex: vertex.digest,
    state,
    forced: vertex.label.ignoreCache === true ? forcedBy : null,
    from: vertex.inputs.map((input) => ({ vertex: input.vertex.digest, source: sourceName(input.vertex) })),
    isNew: missed || lookedUpBy.length > 1 || (solved?.record !== undefined && caches.isElsewhere(solved.record.resultId)),
  };
}

/** A step with the parts of its key; undefined for what has none. */
export function keyedStep({ vertex, lookedUpBy, solved, ...rest }: Followed): MemoryStep | undefined {
  const [parts] = lookedUpBy;
  if (vertex === undefined || parts === undefined) return undefined;
  const key = cacheKey(parts);
  const cost =
    rest.state === 'ran' || rest.state === 'failed' ? Math.max(0, rest.finishedAt - rest.startedAt) : (solved?.record?.cost ?? 0);
  const found = { key, recordKey: solved?.key ?? key, cost, log: rest.logName ?? null };
  const step = stepKeyOf(vertex, lookedUpBy, found);
  return step && { ...step, isPart: vertex.label.isPart ?? false };
}

/** Where files come from that are no step's. */
function sourceName({ op }: Vertex): string | null {
  if (op.kind === 'source-local') return op.name;
  if (op.kind === 'source-git') return clean(op.remote);
  return op.kind === 'source-http' ? clean(op.url) : null;
}

function earlierStep({ key, recordKey, ...step }: BuildStep): EarlierBuild['steps'] {
  return key === undefined ? [] : [{ ...step, key, recordKey: recordKey ?? key }];
}

/** With the names that people know the steps by, and what each root cost. */
function inWords(explanation: Explanation, followed: ReadonlyMap<Digest, Followed>, steps: ReadonlyMap<Digest, NowStep>): Why {
  const places = new Map(explanation.roots.map((root, index) => [root.vertex, index]));
  const costOf = (vertex: Digest): number => steps.get(vertex)?.cost ?? 0;
  const ran = new Set(explanation.steps.map(({ vertex }) => vertex));
  const behind = new Map<Digest, { count: number; cost: number }>();
  for (const { vertex, causes } of explanation.steps) {
    for (const cause of causes) {
      if (cause === vertex) continue;
      const sum = behind.get(cause) ?? { count: 0, cost: 0 };
      behind.set(cause, sum);
      sum.count++;
      sum.cost += costOf(vertex);
    }
  }
  const describe = (root: Root): WhyRoot => {
    const wasKnown = !ran.has(root.vertex);
    return {
      ...placeOf(root.vertex, followed, steps),
      wasKnown,
      changes: [...root.changes],
      more: root.more,
      against: root.against,
      cost: wasKnown ? 0 : costOf(root.vertex),
      behind: behind.get(root.vertex)?.count ?? 0,
      behindCost: behind.get(root.vertex)?.cost ?? 0,
    };
  };
  return {
    roots: explanation.roots.map(describe),
    steps: explanation.steps.map(({ vertex, causes }) => ({
      ...placeOf(vertex, followed, steps),
      cost: costOf(vertex),
      causes: causes.flatMap((cause) => places.get(cause) ?? []),
    })),
  };
}

function placeOf(
  vertex: Digest,
  followed: ReadonlyMap<Digest, Followed>,
  steps: ReadonlyMap<Digest, NowStep>,
): Pick<WhyRoot, 'text' | 'stage' | 'step' | 'line'> {
  const one = followed.get(vertex);
  return {
    text: steps.get(vertex)?.text ?? one?.declared.text ?? '',
    stage: one?.declared.stage ?? null,
    step: one?.declared.step ?? null,
    line: one?.vertex?.label.at?.[0]?.start.line ?? null,
  };
}
