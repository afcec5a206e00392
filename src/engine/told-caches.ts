/** What the caches of `--cache-from` say of the builds that wrote them: asked for when steps run, to say why. */
import { decodeMemory, type CacheTrouble, type ToldCache } from '#execution/builds/memory.ts';
import { orAborted, withinTime } from '#ground/base/abort.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { ImportedCache } from './import-cache.ts';

type TellingCache = Pick<ImportedCache, 'name' | 'readMemory'>;

/** Milliseconds. Whoever waits for a build does not wait longer for its reasons. */
const patience = 15_000;

/** Never fails: what is wrong, or that nobody wants to wait any more, is part of what it gives. `longest`: milliseconds that each of them may take. */
export async function tellOfCaches(
  caches: readonly TellingCache[],
  signal: AbortSignal,
  longest = patience,
): Promise<readonly ToldCache[]> {
  return await Promise.all(caches.map(async (cache) => await tellOf(cache, longest, signal)));
}

async function tellOf(cache: TellingCache, longest: number, signal: AbortSignal): Promise<ToldCache> {
  const { name } = cache;
  try {
    const packed = await withinTime(longest, tooSlow(longest), async (own) => await orAborted(cache.readMemory(own), own), signal);
    return { name, memory: packed && decodeMemory(packed, name), trouble: undefined };
  } catch (error) {
    const trouble = signal.aborted ? notWaitedFor : troubleOf(error);
    return { name, memory: undefined, trouble };
  }
}

const notWaitedFor: CacheTrouble = {
  kind: 'unreachable',
  message: 'The build was interrupted before it had said what its steps were made of',
};

function tooSlow(longest: number): JettisonError {
  return new JettisonError('engine/cache-too-slow', `It has not said within ${longest / 1000} seconds what its steps were made of`, {
    fault: 'environment',
  });
}

/** With those that could not be read at all, and what was wrong with layers; undefined: there was no cache. */
export function withTroubles(caches: readonly ToldCache[], troubles: ReadonlyMap<string, CacheTrouble | undefined>): readonly ToldCache[] {
  const names = new Set(caches.map(({ name }) => name));
  const others = [...troubles].filter(([name]) => !names.has(name));
  return [
    ...caches.map((cache) => ({ ...cache, trouble: troubles.get(cache.name) ?? cache.trouble })),
    ...others.map(([name, trouble]) => ({ name, trouble, memory: undefined })),
  ];
}

/** A cache that does not answer, or one that is not what it should be. */
export function troubleOf(error: unknown): CacheTrouble {
  const code = error instanceof JettisonError ? error.code : '';
  const isMissing = ['registry/not-found', 'object/not-found'].includes(code);
  const isAway =
    ['cache/cannot-read', 'engine/cache-too-slow'].includes(code) || (/^(?:registry|object)\//u.test(code) && !code.includes('/wrong-'));
  const message = error instanceof Error ? error.message : String(error);
  return { kind: isMissing ? 'missing' : isAway ? 'unreachable' : 'damaged', message };
}
