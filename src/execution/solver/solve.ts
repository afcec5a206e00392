/** From goals to their results: skips what is known, shares what is equal, runs the rest in parallel. Knows nothing of what ops do. */
import { cacheKey, contentKeyOf, shapeOf, type CacheKey, type KeyInput, type KeyParts } from '#execution/cache/key.ts';
import { rebuildCost, type CacheRecord, type RecordInput } from '#execution/cache/records.ts';
import { childSignal } from '#ground/base/abort.ts';
import { digestOf, type Digest } from '#ground/base/digest.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { shownStage, type Edge } from '#formats/graph/vertex.ts';
import type { Report } from '#formats/progress/event.ts';
import type { Result, SolvedVertex, Solved, SolveRequest } from './contract.ts';
import { createAttempts, type Attempts } from './solving/attempts.ts';
import { draftAll, isNeverCached, keepShape, keyOfDraft, lookUpAgain, type Draft } from './solving/drafts.ts';
import { certainToRun } from './solving/certain.ts';
import { runOnce } from './solving/once.ts';
import { createSlots, type Slots } from './solving/slots.ts';
import { weightsOf } from './solving/weights.ts';
import { stepsFor, type Step } from './solving/steps.ts';

/**
 * Solves the goals, which share what is equal in them. First every vertex gets its definition key and is looked up, without running anything; then, from the goals down,
 * what stands below a known result is left alone; what is certain to run and lacks something fails here; the rest is run, inputs first, each vertex looked up again by the keys that its
 * inputs turned out to have, and by what it reads of them.
 *
 * The first failure ends the build and is thrown with the place of its vertex in the source, when everything has come to rest;
 * `solver/step-failed` wraps what is not an error of ours. An aborted signal throws its reason. Nothing failed or cancelled is kept.
 */
export async function solve(request: SolveRequest, report: Report, signal: AbortSignal): Promise<Solved> {
  signal.throwIfAborted();
  using own = childSignal(signal);
  const steps = stepsFor(request.goals, request.driverFor);
  for (const step of steps) report(declare(step));
  const attempts = createAttempts(own, report, request.now);
  const drafts = await draftWithMore(request, steps, attempts);
  const missing = missingFor(request.goals, drafts);
  const vertices = new Map<Digest, SolvedVertex>();
  for (const step of steps) {
    const { digest } = step.vertex;
    const draft = drafts.get(digest);
    if (draft?.parts !== undefined) keepShape(step, draft.parts, request.cache);
    if (draft === undefined || missing.has(digest)) continue;
    const solvedVertex = solvedWithoutRunning(draft);
    vertices.set(digest, solvedVertex);
    request.observer?.solved(step.vertex, solvedVertex);
    if (draft.result === undefined) attempts.cached(step.vertex, solvedVertex.state === 'skipped');
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
  const results = request.goals.map(({ vertex }) => {
    const result = solved.get(vertex.digest)?.result;
    if (result !== undefined) return result;
    throw new JettisonError('solver/no-result', 'A goal has no result', { fault: 'bug' });
  });
  return { results, vertices: solved };
}

/** The drafts; where a goal is not known, after more records were asked for. */
async function draftWithMore(request: SolveRequest, steps: readonly Step[], attempts: Attempts): Promise<ReadonlyMap<Digest, Draft>> {
  const { goals, cache, moreRecords } = request;
  const drafts = await draftAll(steps, cache, attempts);
  const isKnown = ({ vertex }: Edge): boolean => {
    const own = drafts.get(vertex.digest);
    return own !== undefined && isSettled(own);
  };
  if (moreRecords === undefined || goals.every(isKnown)) return drafts;
  return (await moreRecords(attempts.signal)) ? lookUpAgain(drafts, cache) : drafts;
}

function declare({ vertex }: Step): Parameters<Report>[0] {
  const { text, step, steps, isPart, at } = vertex.label;
  const stage = shownStage(vertex.label);
  const line = at?.[0]?.start.line;
  return {
    kind: 'vertex',
    vertex: vertex.digest,
    text,
    ...(vertex.inputs.length === 0 ? {} : { inputs: vertex.inputs.map((input) => input.vertex.digest) }),
    ...(stage === undefined ? {} : { stage }),
    ...(step === undefined ? {} : { step }),
    ...(steps === undefined ? {} : { steps }),
    ...(line === undefined ? {} : { line }),
    ...(isPart === true ? { isPart } : {}),
  };
}

/** Vertices that must be solved with their inputs at hand, inputs first: those that the goals reach without passing a known result. */
export function missingFor(goals: readonly Edge[], drafts: ReadonlyMap<Digest, Draft>): ReadonlyMap<Digest, Draft> {
  const reached = new Set<Digest>(goals.map(({ vertex }) => vertex.digest));
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
    const unkeyed = draft.isUnkeyed ? await runUnkeyed(draft, { inputs, results }, build) : undefined;
    if (unkeyed !== undefined) return unkeyed;
    const contents = draft.isUnkeyed ? await readContents(draft, { inputs, results }, build) : draft.contents;
    const parts = { base: draft.base, inputs: inputs.map((input, index) => keyPart(input, contents[index])) };
    keepShape(step, parts, request.cache);
    const definitionKey = cacheKey(parts);
    const known = step.ignoreCache ? undefined : request.cache.find(definitionKey);
    if (known !== undefined) return hit(known, [parts]);

    const slowParts = await contentParts({ ...draft, contents }, parts, { results, signal: attempts.signal });
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
        const { result, cost } = await run(step, build, async () => await step.driver.run(results, attempts.signal));
        return keepRun(step, { result, cost, inputs, lookedUpBy }, build);
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

  function hit(record: CacheRecord, lookedUpBy: readonly KeyParts[]): SolvedVertex {
    attempts.cached(step.vertex);
    return fromCache(record, lookedUpBy);
  }
}

type Inputs = { readonly inputs: readonly SolvedVertex[]; readonly results: readonly Result[] };

/** Runs a step whose key cannot be known to anybody, and keys it by what it says that it has read. Undefined when it turns out that somebody might know it. */
async function runUnkeyed({ step, base }: Draft, { inputs, results }: Inputs, build: Build): Promise<SolvedVertex | undefined> {
  const { request, attempts, slots, weights } = build;
  const { cache, claims } = request;
  const shape = shapeOfInputs(base, inputs);
  const isKnown = (): boolean => cache.knowsShape?.(shape) !== false;
  if (isKnown()) return undefined;
  return await slots.run(weights.get(step.vertex.digest) ?? 0, async () => {
    // Whoever has the claim may be running this very step: meanwhile what it reads can be found out.
    using claimed = claims === undefined || step.ignoreCache ? nobody : claims.take(shape);
    if (claimed === undefined || isKnown()) return undefined;
    request.observer?.missed(step.vertex, []);
    const { result: ran, cost } = await run(step, build, async () => await step.driver.runUnkeyed?.(results, attempts.signal));
    if (ran === undefined)
      throw new JettisonError('solver/no-content-key', `"${step.vertex.label.text}" cannot run without a key`, { fault: 'bug' });
    const parts = { base, inputs: inputs.map((input, index) => keyPart(input, ran.contents[index])) };
    keepShape(step, parts, cache);
    return keepRun(step, { result: ran.result, cost, inputs, lookedUpBy: [parts] }, build);
  });
}

const nobody: Disposable = { [Symbol.dispose]: () => undefined };

function shapeOfInputs(base: Digest, inputs: readonly SolvedVertex[]): CacheKey {
  return shapeOf({ base, inputs: inputs.map(({ key }) => (key === undefined ? undefined : { result: key })) });
}

/** What an unkeyed draft left out. Then waits for whoever may be running the same step. */
async function readContents(
  { step, base }: Draft,
  { inputs, results }: Inputs,
  { request, attempts, report }: Build,
): Promise<readonly (CacheKey | undefined)[]> {
  const contents = await Promise.all(
    results.map(async (result, index) =>
      isNeverCached(step.inputs[index]) ? await step.driver.contentKey?.(index, result, attempts.signal) : undefined,
    ),
  );
  const { claims } = request;
  if (claims === undefined || step.ignoreCache) return contents;
  const shape = shapeOfInputs(base, inputs);
  const other = claims.otherProcess(shape);
  if (other !== undefined)
    report({
      kind: 'note',
      text: `Waiting for another build (process ${other}) that may be running the same step: ${step.vertex.label.text}`,
    });
  await claims.free(shape, attempts.signal);
  return contents;
}

type Run = {
  readonly result: Result;
  readonly cost: number;
  readonly inputs: readonly SolvedVertex[];
  readonly lookedUpBy: readonly KeyParts[];
};

/** Keeps the result of a step that has run under all its keys. */
function keepRun(step: Step, { result, cost, inputs, lookedUpBy }: Run, { request, attempts }: Build): SolvedVertex {
  const keys = lookedUpBy.map(cacheKey);
  const key = step.ignoreCache ? contentKeyOf(digestOf(`run again: ${result.id}`)) : keys[0];
  if (key === undefined) throw new JettisonError('solver/no-key', 'A step that has run has no key', { fault: 'bug' });
  const description = step.vertex.label.text;
  const own = { resultId: result.id, key, createdAt: request.now(), cost, inputs: worthOf(inputs), description };
  // Another build may have run the same op meanwhile: what was kept first counts for both, so that equal builds give equal images.
  let record: CacheRecord = own;
  for (const under of keys) {
    if (step.ignoreCache) request.cache.replace(under, record);
    else record = request.cache.save(under, record);
  }
  attempts.finish(step.vertex);
  return { state: 'ran', result: record === own ? result : { id: record.resultId }, record, key: record.key, lookedUpBy };
}

/** What the inputs would cost again, each once; those that are never kept are always there. */
function worthOf(inputs: readonly SolvedVertex[]): readonly RecordInput[] {
  const records = inputs.flatMap(({ record }) => (record === undefined ? [] : [[record.resultId, rebuildCost(record)] as const]));
  return [...new Map(records)].map(([resultId, rebuild]) => ({ resultId, rebuild }));
}

async function run<T>(
  step: Step,
  { request, attempts }: Build,
  work: () => Promise<T>,
): Promise<{ readonly result: T; readonly cost: number }> {
  const started = request.now();
  attempts.start(step.vertex);
  const result = await work();
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
