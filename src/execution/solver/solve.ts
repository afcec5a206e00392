/** From a goal to its result: skips what is known, shares what is equal, runs the rest in parallel. Knows nothing of what ops do. */
import { cacheKey, contentKeyOf, type CacheKey, type KeyInput, type KeyParts } from '#execution/cache/key.ts';
import { rebuildCost, type CacheRecord, type RecordInput } from '#execution/cache/records.ts';
import { childSignal } from '#ground/base/abort.ts';
import { digestOf, type Digest } from '#ground/base/digest.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { Report } from '#formats/progress/event.ts';
import type { Result, SolvedVertex, Solved, SolveRequest } from './contract.ts';
import { createAttempts, type Attempts } from './solving/attempts.ts';
import { draftAll, keyOfDraft, lookUpAgain, type Draft } from './solving/drafts.ts';
import { certainToRun } from './solving/certain.ts';
import { runOnce } from './solving/once.ts';
import { createSlots, type Slots } from './solving/slots.ts';
import { weightsOf } from './solving/weights.ts';
import { stepsFor, type Step } from './solving/steps.ts';

/**
 * Solves the goal. First every vertex gets its definition key and is looked up, without running anything; then, from the goal down,
 * what stands below a known result is left alone; what is certain to run and lacks something fails here; the rest is run, inputs first, each vertex looked up again by the keys that its
 * inputs turned out to have, and by what it reads of them.
 *
 * The first failure ends the build and is thrown with the place of its vertex in the source, when everything has come to rest;
 * `solver/step-failed` wraps what is not an error of ours. An aborted signal throws its reason. Nothing failed or cancelled is kept.
 */
export async function solve(request: SolveRequest, report: Report, signal: AbortSignal): Promise<Solved> {
  signal.throwIfAborted();
  using own = childSignal(signal);
  const steps = stepsFor(request.goal, request.driverFor);
  for (const step of steps) report(declare(step));
  const attempts = createAttempts(own, report, request.now);
  const drafts = await draftWithMore(request, steps, attempts);
  const missing = missingFor(request.goal.vertex.digest, drafts);
  const vertices = new Map<Digest, SolvedVertex>();
  for (const step of steps) {
    const { digest } = step.vertex;
    const draft = drafts.get(digest);
    if (draft === undefined || missing.has(digest)) continue;
    const solvedVertex = solvedWithoutRunning(draft);
    vertices.set(digest, solvedVertex);
    request.observer?.solved(step.vertex, solvedVertex);
    if (draft.result === undefined) attempts.cached(step.vertex);
  }
  await attempts.settle(
    certainToRun(missing).map(
      async ({ step }) => await attempts.attempt(step.vertex, async () => await Promise.resolve(step.driver.check?.())),
    ),
  );
  if (missing.size > 0) request.onMissing?.([...missing.values()].map(({ step }) => step.vertex));
  const slots = createSlots(request.jobs, attempts.signal);
  // Turns are waited for only where more must run than may at once.
  const costs = missing.size > request.jobs ? request.costs?.() : undefined;
  const weights = weightsOf([...missing.values()], costs ?? new Map());
  const solved = await solveAll([...missing.values()], vertices, { request, attempts, slots, weights, report });
  const result = solved.get(request.goal.vertex.digest)?.result;
  if (result === undefined) throw new JettisonError('solver/no-result', 'The goal has no result', { fault: 'bug' });
  return { result, vertices: solved };
}

/** The drafts; where the goal is not known, after more records were asked for. */
async function draftWithMore(request: SolveRequest, steps: readonly Step[], attempts: Attempts): Promise<ReadonlyMap<Digest, Draft>> {
  const { goal, cache, moreRecords } = request;
  const drafts = await draftAll(steps, cache, attempts);
  const own = drafts.get(goal.vertex.digest);
  if (moreRecords === undefined || (own !== undefined && isSettled(own))) return drafts;
  return (await moreRecords(attempts.signal)) ? lookUpAgain(drafts, cache) : drafts;
}

function declare({ vertex }: Step): Parameters<Report>[0] {
  const { text, stage, step, steps, isPart } = vertex.label;
  return {
    kind: 'vertex',
    vertex: vertex.digest,
    text,
    ...(vertex.inputs.length === 0 ? {} : { inputs: vertex.inputs.map((input) => input.vertex.digest) }),
    ...(stage === undefined ? {} : { stage }),
    ...(step === undefined ? {} : { step }),
    ...(steps === undefined ? {} : { steps }),
    ...(isPart === true ? { isPart } : {}),
  };
}

/** Vertices that must be solved with their inputs at hand, inputs first: those that the goal reaches without passing a known result. */
export function missingFor(goal: Digest, drafts: ReadonlyMap<Digest, Draft>): ReadonlyMap<Digest, Draft> {
  const reached = new Set<Digest>([goal]);
  for (const digest of reached) {
    const draft = drafts.get(digest);
    if (draft === undefined || isSettled(draft)) continue;
    for (const { vertex } of draft.step.inputs) reached.add(vertex.digest);
  }
  return new Map([...drafts].filter(([digest, draft]) => reached.has(digest) && !isSettled(draft)));
}

function isSettled(draft: Draft): boolean {
  return draft.record !== undefined || draft.result !== undefined;
}

function solvedWithoutRunning(draft: Draft): SolvedVertex {
  const lookedUpBy = draft.parts === undefined ? [] : [draft.parts];
  if (draft.result !== undefined) return { state: 'ran', result: draft.result, lookedUpBy };
  if (draft.record !== undefined) return fromCache(draft.record, lookedUpBy);
  const key = keyOfDraft(draft);
  return { state: 'skipped', lookedUpBy, ...(key === undefined ? {} : { key }) };
}

function fromCache(record: CacheRecord, lookedUpBy: readonly KeyParts[]): SolvedVertex {
  return { state: 'cached', result: { id: record.resultId }, record, key: record.key, lookedUpBy };
}

type Build = {
  readonly request: SolveRequest;
  readonly attempts: Attempts;
  readonly slots: Slots;
  readonly weights: ReadonlyMap<Digest, number>;
  readonly report: Report;
};

/** Solves the drafts (inputs first in the list) over what is solved already; gives both. */
async function solveAll(
  drafts: readonly Draft[],
  settled: ReadonlyMap<Digest, SolvedVertex>,
  build: Build,
): Promise<ReadonlyMap<Digest, SolvedVertex>> {
  const solving = new Map<Digest, Promise<SolvedVertex>>();
  for (const [digest, vertex] of settled) solving.set(digest, Promise.resolve(vertex));
  for (const draft of drafts) {
    const inputs = Promise.all(draft.step.inputs.flatMap(({ vertex }) => solving.get(vertex.digest) ?? []));
    solving.set(draft.step.vertex.digest, solveOne(draft, inputs, build));
  }
  await build.attempts.settle([...solving.values()]);
  const solved = new Map<Digest, SolvedVertex>();
  for (const [digest, vertex] of solving) solved.set(digest, await vertex);
  return solved;
}

async function solveOne(draft: Draft, waiting: Promise<readonly SolvedVertex[]>, build: Build): Promise<SolvedVertex> {
  const inputs = await waiting;
  const { step } = draft;
  const { request, attempts, report } = build;
  const solved = await attempts.attempt(step.vertex, async () => {
    const results = inputs.map((input) => resultOf(input, step));
    const parts = { base: draft.base, inputs: inputs.map((input, index) => keyPart(input, draft.contents[index])) };
    const definitionKey = cacheKey(parts);
    const known = step.ignoreCache ? undefined : request.cache.find(definitionKey);
    if (known !== undefined) return hit(known, [parts]);

    const slowParts = await contentParts(draft, parts, { results, signal: attempts.signal });
    const lookedUpBy = slowParts === undefined ? [parts] : [parts, slowParts];
    const slowKey = slowParts === undefined ? undefined : cacheKey(slowParts);
    const slow = slowKey === undefined || step.ignoreCache ? undefined : request.cache.find(slowKey);
    if (slow !== undefined) {
      request.cache.save(definitionKey, slow);
      return hit(slow, lookedUpBy);
    }

    const keys = slowKey === undefined ? ([definitionKey] as const) : ([definitionKey, slowKey] as const);
    const onWait = (other: number | undefined): void => {
      const whom =
        other === undefined ? 'the same step, which is running already' : `another build (process ${other}) that is running the same step`;
      report({ kind: 'note', text: `Waiting for ${whom}: ${step.vertex.label.text}` });
    };
    const once = { slots: build.slots, claims: step.ignoreCache ? undefined : request.claims };
    const claim = { key: slowKey ?? definitionKey, weight: build.weights.get(step.vertex.digest) ?? 0, onWait };
    return await runOnce(
      once,
      claim,
      async () => {
        const made = step.ignoreCache ? undefined : findAny(keys);
        if (made !== undefined) return hit(made, lookedUpBy);
        request.observer?.missed(step.vertex, lookedUpBy);
        const { result, cost } = await run(step, results, build);
        const key = step.ignoreCache ? contentKeyOf(digestOf(`run again: ${result.id}`)) : definitionKey;
        const description = step.vertex.label.text;
        const own = { resultId: result.id, key, createdAt: request.now(), cost, inputs: worthOf(inputs), description };
        const record = keep(own, keys);
        attempts.finish(step.vertex);
        return { state: 'ran', result: record === own ? result : { id: record.resultId }, record, key: record.key, lookedUpBy } as const;
      },
      attempts.signal,
    );
  });
  request.observer?.solved(step.vertex, solved);
  return solved;

  /** What another build has made since the look-up, by the definition key or the content key: the first leads to it from now on. */
  function findAny([definitionKey, slowKey]: readonly [CacheKey, CacheKey?]): CacheRecord | undefined {
    const slow = slowKey && request.cache.find(slowKey);
    return request.cache.find(definitionKey) ?? (slow && request.cache.save(definitionKey, slow));
  }

  /** Another build may have run the same op meanwhile: what was kept first counts for both, so that equal builds give equal images. */
  function keep(own: CacheRecord, keys: readonly CacheKey[]): CacheRecord {
    let record = own;
    for (const under of keys) {
      if (step.ignoreCache) request.cache.replace(under, record);
      else record = request.cache.save(under, record);
    }
    return record;
  }

  function hit(record: CacheRecord, lookedUpBy: readonly KeyParts[]): SolvedVertex {
    attempts.cached(step.vertex);
    return fromCache(record, lookedUpBy);
  }
}

/** What the inputs would cost again, each once; those that are never kept are always there. */
function worthOf(inputs: readonly SolvedVertex[]): readonly RecordInput[] {
  const records = inputs.flatMap(({ record }) => (record === undefined ? [] : [[record.resultId, rebuildCost(record)] as const]));
  return [...new Map(records)].map(([resultId, rebuild]) => ({ resultId, rebuild }));
}

async function run(
  step: Step,
  inputs: readonly Result[],
  { request, attempts }: Build,
): Promise<{ readonly result: Result; readonly cost: number }> {
  const started = request.now();
  attempts.start(step.vertex);
  const result = await step.driver.run(inputs, attempts.signal);
  attempts.signal.throwIfAborted();
  return { result, cost: request.now() - started };
}

/** The key parts with the digest of what is read in the place of an input's own key; undefined when the op can say so of no input. */
async function contentParts(
  { step, base, contents }: Draft,
  parts: KeyParts,
  { results, signal }: { readonly results: readonly Result[]; readonly signal: AbortSignal },
): Promise<KeyParts | undefined> {
  const { driver } = step;
  if (driver.contentKey === undefined) return undefined;
  const read = await Promise.all(
    results.map(async (result, index) => (contents[index] === undefined ? await driver.contentKey?.(index, result, signal) : undefined)),
  );
  if (read.every((content) => content === undefined)) return undefined;
  return { base, inputs: parts.inputs.map((input, index) => contentOr(read[index], input)) };
}

function contentOr(content: CacheKey | undefined, input: KeyInput): KeyInput {
  return content === undefined ? input : { content };
}

function keyPart(input: SolvedVertex, content: CacheKey | undefined): KeyInput {
  if (content !== undefined) return { content };
  if (input.key !== undefined) return { result: input.key };
  throw new JettisonError('solver/no-key', 'An input has neither key nor content', { fault: 'bug' });
}

function resultOf({ result }: SolvedVertex, { vertex }: Step): Result {
  if (result !== undefined) return result;
  throw new JettisonError('solver/no-result', `An input of "${vertex.label.text}" has no result`, { fault: 'bug' });
}
