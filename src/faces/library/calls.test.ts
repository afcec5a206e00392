import { test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { openCalls } from './calls.ts';

test('a stream that is cancelled while a piece of it is in use ends with the reason, and does not wait', { timeout: 60_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'jettison-calls-'));
  using _ = { [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) };
  const around = { folder, currentFolder: folder, environment: { JETTISON_STORE: folder, HOME: folder }, note: () => undefined };
  for (const end of ['signal', 'store'] as const) {
    await using calls = openCalls(around, undefined);
    const abort = new AbortController();
    const taskOver = Promise.withResolvers<void>();
    const pieces = calls.stream<number>({ signal: abort.signal }, async (_engine, give) => {
      try {
        for (let piece = 1; ; piece += 1) await give(piece);
      } finally {
        taskOver.resolve();
      }
    });
    assert.deepEqual(await pieces.next(), { done: false, value: 1 });
    if (end === 'signal') abort.abort(new Error('enough'));
    else await calls[Symbol.asyncDispose]();
    await taskOver.promise;
    // The call gives its engine back before it has settled.
    for (let turn = 0; turn < 20; turn += 1) await setImmediate();
    await assert.rejects(pieces.next(), { code: end === 'signal' ? 'base/cancelled' : 'library/closed' });
  }
});
