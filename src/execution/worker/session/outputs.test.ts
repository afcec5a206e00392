/** What holds up a container's output, and what does not. */
import assert from 'node:assert/strict';
import { closeSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { test } from 'node:test';
import { makePipe } from '#ground/linux/syscall.ts';
import { createOutputs } from './outputs.ts';

test('a client that reads nothing holds up the output, but not its end', { timeout: 20_000 }, async () => {
  const outputs = createOutputs();
  const { readEnd, writeEnd } = makePipe();
  const source = new Socket({ fd: readEnd, readable: true, writable: false });
  const taken: string[] = [];
  const first = Promise.withResolvers<void>();
  outputs.add((_stream, bytes) => {
    taken.push(new TextDecoder().decode(bytes));
    first.resolve();
    return undefined;
  });
  outputs.add(async () => await new Promise<void>(() => undefined));
  outputs.follow('stdout', source);
  writeSync(writeEnd, 'one');
  await first.promise;
  writeSync(writeEnd, 'two');
  assert.deepEqual([taken, source.isPaused()], [['one'], true]);
  closeSync(writeEnd);
  await outputs.drained();
  assert.equal(taken.join(''), 'onetwo');
});
