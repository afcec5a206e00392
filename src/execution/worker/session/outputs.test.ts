/** What holds up a container's output, and what does not. */
import assert from 'node:assert/strict';
import { closeSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { test } from 'node:test';
import { spawnProgram } from '#ground/linux/posix-spawn.ts';
import { makePipe } from '#ground/linux/syscall.ts';
import { createOutputs } from './outputs.ts';

test('a program that writes and writes leaves everybody their turn', { timeout: 120_000 }, async () => {
  const { readEnd, writeEnd } = makePipe();
  const program = spawnProgram({
    file: '/usr/bin/yes',
    arguments: ['yes'],
    environment: [],
    folder: '/',
    streams: ['nothing', writeEnd, 'nothing'],
  });
  closeSync(writeEnd);
  const outputs = createOutputs();
  let row = 0;
  let longest = 0;
  let pieces = 0;
  const enough = Promise.withResolvers<void>();
  outputs.add(() => {
    longest = Math.max(longest, ++row);
    // So long that the pipe is full again.
    for (const until = performance.now() + 5; performance.now() < until;);
    if (++pieces === 200) enough.resolve();
    return undefined;
  });
  let isOver = false;
  const others = (): void => {
    row = 0;
    if (!isOver) setImmediate(others);
  };
  others();
  outputs.follow('stdout', new Socket({ fd: readEnd, readable: true, writable: false }));
  await enough.promise;
  isOver = true;
  process.kill(program.pid, 'SIGKILL');
  await Promise.all([outputs.drained(), program.ended]);
  assert.ok(longest <= 4, `${longest} pieces in a row`);
});

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
