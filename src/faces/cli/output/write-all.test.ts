import { test } from 'node:test';
import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { writeAll } from './write-all.ts';

test('waiting for a slow reader leaves no listeners behind', async () => {
  const output = new PassThrough({ highWaterMark: 1 });
  for (let index = 0; index < 12; index++) {
    const waited = writeAll(output, Uint8Array.of(index, index));
    assert.ok(waited !== undefined);
    output.read();
    await waited;
  }
  assert.deepEqual([output.listenerCount('drain'), output.listenerCount('close')], [0, new PassThrough().listenerCount('close')]);
});
