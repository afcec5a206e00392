/** Reads the caches that `--cache-from` names: their documents, never their layers. What cannot be read is a warning. */
import type { Report } from '#formats/progress/event.ts';
import { withinTime } from '#ground/base/abort.ts';
import { digestOf } from '#ground/base/digest.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { CacheOrigin, ReadCache } from './cache-places/contract.ts';
import { openCacheOrigin } from './cache-places/open.ts';
import type { Engine } from './open.ts';
import type { BuildRequest } from './build-requests.ts';

/** A cache is there to save time: one that does not say within so many milliseconds what it has is left aside. */
const patience = 20_000;

/** `name`: as people know it. */
export type ImportedCache = ReadCache & { readonly name: string };

export type ImportRequest = Pick<BuildRequest, 'cacheFrom' | 'cachePatience' | 'platforms'> & {
  /** Told of a cache that is left out: by what error, for want of what, or because there is none. */
  readonly onUnusable: (name: string, why: JettisonError | string | undefined) => void;
};

/** In the order of the request; those that cannot be used are left out, with a warning. */
export async function importCaches(
  engine: Engine,
  request: ImportRequest,
  report: Report,
  signal: AbortSignal,
): Promise<readonly ImportedCache[]> {
  const found = await Promise.all(
    request.cacheFrom.map(async (source) => {
      const origin = await openCacheOrigin(engine, source, request.platforms[0]);
      const longest = origin.patience ?? request.cachePatience ?? patience;
      return await importShown(engine, { origin, longest, onUnusable: request.onUnusable }, report, signal);
    }),
  );
  return found.filter((cache) => cache !== undefined);
}

/** Shown as a step of its own. */
async function importShown(
  engine: Engine,
  { origin, longest, onUnusable }: Pick<ImportRequest, 'onUnusable'> & { readonly origin: CacheOrigin; readonly longest: number },
  report: Report,
  signal: AbortSignal,
): Promise<ImportedCache | undefined> {
  const { name, lacks } = origin;
  if (lacks !== undefined) {
    onUnusable(name, lacks);
    if (origin.isTold !== true) report({ kind: 'note', text: `Warning: cannot use the cache ${name}: ${lacks}` });
    return undefined;
  }
  const text = `importing cache manifest from ${name}`;
  const vertex = digestOf(text);
  report({ kind: 'vertex', vertex, text });
  report({ kind: 'vertex-started', vertex, time: engine.now() });
  try {
    const found = await readInTime(origin, longest, signal);
    if (found === undefined) {
      onUnusable(name, undefined);
      report({
        kind: 'note',
        text: `Warning: ${name} has no cache that this version of jettison can use: it is left aside (an image has one when it is built with --cache-to type=inline)`,
      });
    }
    report({ kind: 'vertex-finished', vertex, time: engine.now() });
    return found && { ...found, name };
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof JettisonError) || error.fault === 'bug') throw error;
    report({ kind: 'vertex-failed', vertex, time: engine.now(), message: error.message, cancelled: false });
    onUnusable(name, error);
    report({ kind: 'note', text: `Warning: cannot use the cache ${name}: ${error.message}` });
    return undefined;
  }
}

/** Throws `engine/cache-too-slow` after `longest` milliseconds, and what reading it says. */
export async function readInTime(
  { read }: Pick<CacheOrigin, 'read'>,
  longest: number,
  signal: AbortSignal,
): Promise<ReadCache | undefined> {
  const tooSlow = new JettisonError('engine/cache-too-slow', `It has not said within ${longest / 1000} seconds what it has`, {
    fault: 'environment',
  });
  return await withinTime(longest, tooSlow, read, signal);
}
