/** Puts together what an exported cache tells of the build that writes it. */
import type { CacheKey } from '#execution/cache/key.ts';
import type { Digest } from '#ground/base/digest.ts';
import type { FileList } from '#stores/context/file-list.ts';
import type { Followed } from './follow.ts';
import { encodeMemory, memoryLimits, type MemoryStep, type StepMemory } from './memory.ts';
import type { RecorderOptions } from './recorder.ts';
import { keyedStep, withContents } from './remember.ts';

type Telling = {
  readonly mode: StepMemory['mode'];
  /** In an image it must come out the same each time: the image's id depends on it. */
  readonly place: keyof typeof memoryLimits;
};

/** All steps of the build that have a key, with what this store and the caches elsewhere remember of them; see `encodeMemory`. */
export async function memoryOf(
  followed: ReadonlyMap<Digest, Followed>,
  { mode, place }: Telling,
  options: RecorderOptions,
): Promise<Uint8Array | undefined> {
  const steps = [...followed.values()].flatMap((one) => keyedStep(one) ?? []).map((step) => ({ ...step, log: null, cost: 0 }));
  const whole = place === 'image' ? steps.map(definitionOnly) : await completed(steps, options);
  const files = await filesOf(whole, options);
  return encodeMemory({ mode, steps: whole, files }, memoryLimits[place]);
}

/** Without what was found out by reading: a later build may find the same step without. */
function definitionOnly(step: MemoryStep): MemoryStep {
  return { ...step, contents: step.inputs.map((input) => ('content' in input ? input.content : null)) };
}

async function completed(steps: readonly MemoryStep[], { store, caches }: RecorderOptions): Promise<readonly MemoryStep[]> {
  const own = await store();
  const known = steps.map((step) => withContents(step, own.keyOf(step.key)));
  // What a step read where it ran is known there: it is asked for only where it is missing.
  if (!known.some((step) => own.keyOf(step.key) === undefined && isIncomplete(step))) return known;
  const told = new Map((await caches.told()).flatMap(({ memory }) => memory?.steps ?? []).map((step) => [step.key, step]));
  return known.map((step) => withContents(step, told.get(step.key)));
}

/** What a step stands on is never read by content. */
function isIncomplete({ op, contents }: MemoryStep): boolean {
  return op['kind'] !== 'merge' && contents.some((content, index) => content === null && index !== (op['root'] ?? op['base']));
}

async function filesOf(steps: readonly MemoryStep[], options: RecorderOptions): Promise<ReadonlyMap<CacheKey, FileList>> {
  const store = await options.store();
  const files = new Map<CacheKey, FileList>();
  for (const content of new Set(steps.flatMap(({ contents }) => contents))) {
    const list = content === null ? undefined : (options.filesOf(content) ?? store.filesOf(content) ?? options.listFiles(content));
    if (content !== null && list !== undefined) files.set(content, list);
  }
  return files;
}
