/** What can be said of each vertex before anything runs: its definition key, and whether its result is known. */
import { cacheKey, shapeOf, type CacheKey, type KeyParts } from '#execution/cache/key.ts';
import type { CacheRecord } from '#execution/cache/records.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { Digest } from '#ground/base/digest.ts';
import type { CacheLookup, Result } from '../contract.ts';
import type { Attempts } from './attempts.ts';
import type { Step } from './steps.ts';

export type Draft = {
  readonly step: Step;
  readonly base: Digest;
  /** One for each input: the digest of what is read from it, for inputs that are never cached. */
  readonly contents: readonly (CacheKey | undefined)[];
  /** What it reads of inputs that are never cached is found out while it runs: no record can be known by it. */
  readonly isUnkeyed: boolean;
  /** The definition key's parts; undefined when it is unkeyed, and when an input must run first because its key is not known. */
  readonly parts: KeyParts | undefined;
  readonly record: CacheRecord | undefined;
  /** Of an op that is never cached: it has run. */
  readonly result: Result | undefined;
};

/** Ops that are never cached (folders of the client) run here: they cost nothing, and the keys of their readers need them. */
export async function draftAll(steps: readonly Step[], cache: CacheLookup, attempts: Attempts): Promise<ReadonlyMap<Digest, Draft>> {
  const drafts = new Map<Digest, Promise<Draft>>();
  for (const step of steps) {
    const inputs = Promise.all(step.inputs.flatMap(({ vertex }) => drafts.get(vertex.digest) ?? []));
    drafts.set(step.vertex.digest, draft(step, inputs, { cache, attempts }));
  }
  const settled = await attempts.settle([...drafts.values()]);
  return new Map(settled.map((one) => [one.step.vertex.digest, one]));
}

async function draft(
  step: Step,
  waiting: Promise<readonly Draft[]>,
  { cache, attempts }: { readonly cache: CacheLookup; readonly attempts: Attempts },
): Promise<Draft> {
  const inputs = await waiting;
  return await attempts.attempt(step.vertex, async () => {
    const base = await step.driver.cacheBase(attempts.signal);
    if (step.driver.caching === 'never') {
      return { step, base, contents: [], isUnkeyed: false, parts: undefined, record: undefined, result: await runUncached(step, attempts) };
    }
    if (isUnkeyed({ step, base }, inputs, cache))
      return { step, base, contents: [], isUnkeyed: true, parts: undefined, record: undefined, result: undefined };
    const contents = await Promise.all(inputs.map(async (input, index) => await contentOf(step, index, { input, attempts })));
    const found = find({ step, base, contents }, inputs, cache);
    return { step, base, contents, isUnkeyed: false, ...found, result: undefined };
  });
}

/**
 * Lets others know that a record may be found under such keys, or under those of a step on this one: that may be kept where this one is not (it lay in a cache elsewhere, and
 * nobody wanted its files). Nothing for a step that always has its key before it runs.
 */
export function keepShape({ inputs, driver }: Step, { base, inputs: keys }: KeyParts, cache: CacheLookup): void {
  if (driver.runUnkeyed === undefined || !inputs.some(isNeverCached)) return;
  cache.keepShape?.(shapeOf({ base, inputs: keys.map((key, index) => (isNeverCached(inputs[index]) ? undefined : key)) }));
}

/** One of its own keys is enough for a record to be found; inputs whose keys are not known yet will have new ones, as far as anybody can say now. */
function isUnkeyed({ step, base }: Pick<Draft, 'step' | 'base'>, inputs: readonly Draft[], cache: CacheLookup): boolean {
  const { driver } = step;
  if (driver.runUnkeyed === undefined || cache.knowsShape === undefined || !step.inputs.some(isNeverCached)) return false;
  // A record might be found by what is read of another input.
  if (step.inputs.some((input, index) => !isNeverCached(input) && driver.readsContent?.(index) !== false)) return false;
  const keys = inputs.map((input) => (input.result === undefined ? keyOfDraft(input) : null));
  const isKnown =
    keys.every((key) => key !== undefined) &&
    cache.knowsShape(shapeOf({ base, inputs: keys.map((key) => (key === null ? undefined : { result: key })) }));
  return !isKnown && driver.mayRunUnkeyed?.(inputs.map((input) => input.result)) === true;
}

export function isNeverCached(step: Step | undefined): boolean {
  return step?.driver.caching === 'never';
}

/** The same drafts, looked up again where nothing was found; `drafts` holds inputs before what reads them. */
export function lookUpAgain(drafts: ReadonlyMap<Digest, Draft>, cache: CacheLookup): ReadonlyMap<Digest, Draft> {
  const again = new Map<Digest, Draft>();
  for (const [digest, old] of drafts) {
    const inputs = old.step.inputs.flatMap(({ vertex }) => again.get(vertex.digest) ?? []);
    again.set(
      digest,
      old.record === undefined && old.result === undefined && !old.isUnkeyed ? { ...old, ...find(old, inputs, cache) } : old,
    );
  }
  return again;
}

/** The definition key's parts as far as they can be said, and what they find. */
function find(
  { step, base, contents }: Pick<Draft, 'step' | 'base' | 'contents'>,
  inputs: readonly Draft[],
  cache: CacheLookup,
): Pick<Draft, 'parts' | 'record'> {
  const keys = inputs.map((input, index) => keyPart(input, contents[index]));
  const parts = keys.every((key) => key !== undefined) ? { base, inputs: keys } : undefined;
  return { parts, record: parts === undefined || step.ignoreCache ? undefined : cache.find(cacheKey(parts)) };
}

async function runUncached(step: Step, attempts: Attempts): Promise<Result> {
  if (step.inputs.length > 0) {
    throw new JettisonError('solver/uncached-with-inputs', 'An op that is never cached cannot have inputs', { fault: 'bug' });
  }
  attempts.start(step.vertex);
  const result = await step.driver.run([], attempts.signal);
  attempts.finish(step.vertex);
  return result;
}

async function contentOf(
  step: Step,
  index: number,
  { input, attempts }: { readonly input: Draft; readonly attempts: Attempts },
): Promise<CacheKey | undefined> {
  if (input.result === undefined) return undefined;
  const key = await step.driver.contentKey?.(index, input.result, attempts.signal);
  if (key !== undefined) return key;
  throw new JettisonError('solver/no-content-key', `Nothing says what "${step.vertex.label.text}" reads of its input ${index}`, {
    fault: 'bug',
  });
}

function keyPart(input: Draft, content: CacheKey | undefined): KeyParts['inputs'][number] | undefined {
  if (content !== undefined) return { content };
  const result = keyOfDraft(input);
  return result === undefined ? undefined : { result };
}

/** What stands for the vertex's result as long as it has not run: undefined when it will surely give a new one, or gives none that is cached. */
export function keyOfDraft({ step, parts, record }: Draft): CacheKey | undefined {
  if (parts === undefined || step.ignoreCache) return undefined;
  return record?.key ?? cacheKey(parts);
}
