/** Keeps the keys of what a build ran, and compares them with those of earlier builds. */
import { cacheKey, type CacheKey } from '#execution/cache/key.ts';
import type { Vertex } from '#formats/graph/vertex.ts';
import type { Digest } from '#ground/base/digest.ts';
import { clean } from '#ground/base/errors.ts';
import type { FileList } from '#stores/context/file-list.ts';
import { explain, type Explanation, type NowStep, type Root } from './explain.ts';
import type { Followed } from './follow.ts';
import type { EarlierBuild } from './nearest.ts';
import type { BuildStep, Why, WhyRoot } from './past-build.ts';
import type { RecorderOptions } from './recorder.ts';
import { stepKeyOf } from './step-key.ts';
import type { BuildStore } from './store.ts';

/** How many earlier builds a build is compared with. */
const compared = 20;

export type Remembering = {
  /** Keeps the keys of what ran. Gives why steps ran; undefined when nothing like this was built before. */
  finish(followed: ReadonlyMap<Digest, Followed>): Why | undefined;
};

/** Reads the earlier builds; call it beside the first steps. */
export function startRemembering(store: BuildStore, options: RecorderOptions): Remembering {
  const earlier = store
    .stepsOf(options.project, options.facts.names, compared + 1)
    .filter(({ id }) => id !== options.id)
    .map((build) => ({ id: build.id, steps: build.steps.flatMap(earlierStep) }))
    .filter((build) => build.steps.length > 0);
  return { finish: (followed) => remember(followed, earlier, { store, options }) };
}

function remember(
  followed: ReadonlyMap<Digest, Followed>,
  earlier: readonly EarlierBuild[],
  { store, options }: { readonly store: BuildStore; readonly options: RecorderOptions },
): Why | undefined {
  const steps = new Map<Digest, RememberedStep>();
  for (const [digest, one] of followed) {
    const step = nowStep(one, options.forcedBy);
    if (step !== undefined) steps.set(digest, step);
  }
  const filesOf = memoized((content) => options.filesOf(content) ?? store.filesOf(content) ?? options.listFiles(content));
  const ran = [...steps.values()].filter((step) => followed.get(step.vertex)?.missed === true);
  const explanation =
    earlier.length === 0 || ran.length === 0
      ? undefined
      : explain(ran, {
          step: (vertex) => steps.get(vertex),
          steps: [...steps.values()],
          earlier,
          keyOf: (key) => store.keyOf(key),
          filesOf,
          evicted: options.evicted,
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

/** Those of steps that ran, and those that lead to a known result in a new way. */
function keepKeys(steps: readonly RememberedStep[], store: BuildStore, filesOf: RecorderOptions['filesOf']): void {
  const news = steps.filter((step) => step.isNew);
  for (const content of new Set(news.flatMap((step) => step.contents))) {
    const files = content === null ? undefined : filesOf(content);
    if (content !== null && files !== undefined) store.saveFiles(content, files);
  }
  store.saveKeys(news);
}

type RememberedStep = NowStep & { readonly isNew: boolean };

function nowStep({ vertex, lookedUpBy, solved, missed, ...rest }: Followed, forcedBy: string): RememberedStep | undefined {
  const [parts] = lookedUpBy;
  if (vertex === undefined || parts === undefined) return undefined;
  const key = cacheKey(parts);
  const cost =
    rest.state === 'ran' || rest.state === 'failed' ? Math.max(0, rest.finishedAt - rest.startedAt) : (solved?.record?.cost ?? 0);
  const found = { key, recordKey: solved?.key ?? key, cost, log: rest.logName ?? null };
  const stepKey = stepKeyOf(vertex, lookedUpBy, found);
  if (stepKey === undefined) return undefined;
  const state = missed ? (rest.state === 'ran' ? 'ran' : 'failed') : rest.state === 'skipped' ? 'skipped' : 'cached';
  return {
    ...stepKey,
    vertex: vertex.digest,
    isPart: vertex.label.isPart ?? false,
    state,
    forced: vertex.label.ignoreCache === true ? forcedBy : null,
    from: vertex.inputs.map((input) => ({ vertex: input.vertex.digest, source: sourceName(input.vertex) })),
    isNew: missed || lookedUpBy.length > 1,
  };
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
