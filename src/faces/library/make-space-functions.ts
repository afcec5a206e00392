/** What takes up space in a store, and what goes of it. */
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runWithOwnIds } from '#execution/worker/own-ids.ts';
import type { Engine } from '#engine/open.ts';
import { JettisonError, type Fault } from '#ground/base/errors.ts';
import { badOption } from './bad-option.ts';
import type { Calls } from './calls.ts';
import type { DiskUsage, Pruned, SpaceFunctions } from './space-functions.ts';
import type { PruneWish } from './space-tasks.ts';

/** What a process that did it says. */
export type SpaceAnswer =
  | { readonly kind: 'pruned'; readonly pruned: Pruned }
  | { readonly kind: 'measured'; readonly usage: DiskUsage }
  | { readonly kind: 'failed'; readonly code: string; readonly message: string; readonly fault: Fault; readonly hint?: string };

export function spaceFunctions({ call }: Calls): SpaceFunctions {
  return {
    prune: async (options = {}) => {
      const { all = false, volumes = false, until } = options;
      if (volumes && until !== undefined) throw badOption('until', 'it does not go with "volumes"');
      const wish: PruneWish = { all, volumes, until: until?.getTime() };
      return await call(options, async (engine, signal) => {
        if (isRoot()) return await (await import('./space-tasks.ts')).pruneStore(engine, wish);
        const answer = await askProcess(engine, { kind: 'prune', ...wish }, signal);
        if (answer.kind !== 'pruned') throw unexpected(answer);
        return answer.pruned;
      });
    },
    diskUsage: async (options) =>
      await call(options, async (engine, signal) => {
        if (isRoot()) return await (await import('./space-tasks.ts')).measureStore(engine);
        const answer = await askProcess(engine, { kind: 'measure' }, signal);
        if (answer.kind !== 'measured') throw unexpected(answer);
        return answer.usage;
      }),
  };
}

/** Root may look at all files where it is; whoever else has to be in the worker's user namespace. */
function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/** Bytes: a list of all that a large store has. */
const longestAnswer = 256 << 20;

async function askProcess({ paths, environment }: Engine, wish: object, signal: AbortSignal): Promise<SpaceAnswer> {
  const given = Object.entries(environment).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]));
  const exit = await runWithOwnIds(
    paths.store,
    {
      words: [script(), JSON.stringify(wish)],
      environment: { ...Object.fromEntries(given), JETTISON_STORE: paths.store, JETTISON_CONFIG: resolve(paths.config) },
      captureLimit: longestAnswer,
    },
    signal,
  );
  const text = new TextDecoder().decode(exit.stdout);
  if (exit.code !== 0 || text === '')
    throw new JettisonError(
      'library/space',
      `Cannot look at the files of ${paths.store}: ${new TextDecoder().decode(exit.stderr).trim().slice(-400)}`,
      {
        fault: 'environment',
        hint: '"jettison doctor" says what this machine lacks',
      },
    );
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- of this program itself
  return JSON.parse(text) as SpaceAnswer;
}

function unexpected(answer: SpaceAnswer): Error {
  if (answer.kind !== 'failed')
    return new JettisonError('library/space', `An answer of kind "${answer.kind}" was not expected`, { fault: 'bug' });
  const { code, message, fault, hint } = answer;
  return new JettisonError(code, message, { fault, ...(hint === undefined ? {} : { hint }) });
}

function script(): string {
  return fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? './space-main.ts' : './space.cjs', import.meta.url));
}
