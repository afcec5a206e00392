import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { isCode } from '#ground/base/errors.ts';
import { listenForInterrupts } from './interrupts.ts';

function streams() {
  return { stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough() };
}

test('the first signal asks to stop, the second ends the process, and nothing listens afterwards', () => {
  for (const [name, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const) {
    const exits: number[] = [];
    const owner = Object.assign(new EventEmitter(), { exit: (exit: number) => void exits.push(exit) });
    {
      using interrupts = listenForInterrupts(streams(), owner);
      assert.equal(interrupts.exitCode(), undefined);
      owner.emit(name);
      assert.ok(isCode(interrupts.signal.reason, 'base/cancelled'));
      assert.deepEqual([interrupts.exitCode(), exits], [code, []]);
      owner.emit(name);
      assert.deepEqual(exits, [code]);
    }
    assert.equal(owner.listenerCount(name), 0);
  }
});

test('a reader of stdout that goes away asks to stop; one of stderr does not; what is lost otherwise is an error', async () => {
  const both = streams();
  using interrupts = listenForInterrupts(both, Object.assign(new EventEmitter(), { exit: () => assert.fail('no exit') }));
  const broken = Object.assign(new Error('write EPIPE'), { code: 'EPIPE' });
  both.stderr.emit('error', broken);
  assert.deepEqual([interrupts.signal.aborted, interrupts.isUnread()], [false, false]);
  both.stdout.emit('error', broken);
  assert.deepEqual([interrupts.signal.aborted, interrupts.isUnread()], [true, true]);
  assert.equal(interrupts.exitCode(), undefined);
  assert.equal(await interrupts.delivered(), undefined);
  both.stderr.emit('error', Object.assign(new Error('write EIO'), { code: 'EIO' }));
  assert.ok(isCode(await interrupts.delivered(), 'cli/output-lost'));
});
