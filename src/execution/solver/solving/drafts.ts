/** What can be said of each vertex before anything runs: its definition key, and whether its result is known. */
import { cacheKey, type CacheKey, type KeyParts } from '#execution/cache/key.ts';
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
  /** The definition key's parts; undefined when an input must run first because its cache is ignored. */
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
      return { step, base, contents: [], parts: undefined, record: undefined, result: await runUncached(step, attempts) };
    }
    const contents = await Promise.all(inputs.map(async (input, index) => await contentOf(step, index, { input, attempts })));
    return { step, base, contents, ...find({ step, base, contents }, inputs, cache), result: undefined };
  });
}

/** The same drafts, looked up again where nothing was found; `drafts` holds inputs before what reads them. */
export function lookUpAgain(drafts: ReadonlyMap<Digest, Draft>, cache: CacheLookup): ReadonlyMap<Digest, Draft> {
  const again = new Map<Digest, Draft>();
  for (const [digest, old] of drafts) {
    const inputs = old.step.inputs.flatMap(({ vertex }) => again.get(vertex.digest) ?? []);
    again.set(digest, old.record === undefined && old.result === undefined ? { ...old, ...find(old, inputs, cache) } : old);
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
