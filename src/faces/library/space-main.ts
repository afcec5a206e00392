/** A process of its own for a normal user's `prune` and `diskUsage`: `space-main.ts WISH`, where the ids of the worker are. What came of it is a line of JSON on its standard output. */
import { argv, env, stdout } from 'node:process';
import * as v from 'valibot';
import { openEngine } from '#engine/open.ts';
import { JettisonError, messageOf } from '#ground/base/errors.ts';
import type { SpaceAnswer } from './make-space-functions.ts';
import { measureStore, pruneStore } from './space-tasks.ts';

const wishSchema = v.variant('kind', [
  v.object({ kind: v.literal('prune'), all: v.boolean(), volumes: v.boolean(), until: v.optional(v.number()) }),
  v.object({ kind: v.literal('measure') }),
]);

const [, , wish] = argv;
if (wish !== undefined) void answer(wish).then((given) => stdout.write(`${JSON.stringify(given)}\n`));

async function answer(text: string): Promise<SpaceAnswer> {
  try {
    const asked = v.parse(wishSchema, JSON.parse(text));
    await using engine = await openEngine({ environment: env, currentFolder: '/' });
    if (asked.kind === 'measure') return { kind: 'measured', usage: await measureStore(engine) };
    return { kind: 'pruned', pruned: await pruneStore(engine, { ...asked, until: asked.until }) };
  } catch (error) {
    if (!(error instanceof JettisonError)) return { kind: 'failed', code: 'library/space', message: messageOf(error), fault: 'bug' };
    const { code, message, fault, hint } = error;
    return { kind: 'failed', code, message, fault, ...(hint === undefined ? {} : { hint }) };
  }
}
