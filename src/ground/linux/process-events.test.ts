import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readProcessEvent } from './process-events.ts';
import { packed } from './netlink.ts';
import { joinBytes } from '#ground/base/bytes.ts';

/** As the kernel writes it: nlmsghdr, cn_msg, proc_event. */
function told(what: number, data: Uint8Array, { count = 7, processor = 1, index = 1 } = {}): Uint8Array {
  const event = joinBytes([packed([32, what], [32, processor], [32, 0], [32, 0]), data, new Uint8Array(24 - data.length)]);
  const connector = packed([32, index], [32, 1], [32, count], [32, 0], [16, event.length], [16, 0]);
  return joinBytes([packed([32, 76], [16, 3], [16, 0], [32, count], [32, 0]), connector, event]);
}

function words(...values: readonly number[]): Uint8Array {
  return packed(...values.map((value) => [32, value] as const));
}

const [start, program, group, name, end] = [1, 2, 0x40, 0x200, 0x80000000];

function eventOf(what: number, data: Uint8Array): unknown {
  return readProcessEvent(told(what, data))?.event;
}

test('events of processes are read as the kernel writes them', () => {
  assert.deepEqual(readProcessEvent(told(start, words(40, 40, 50, 50))), {
    processor: 1,
    count: 7,
    event: { kind: 'start', process: 50, parent: 40 },
  });
  assert.deepEqual(eventOf(start, words(41, 40, 50, 50)), { kind: 'start', process: 50, parent: 40 }, 'started by a thread');
  assert.deepEqual(eventOf(program, words(50, 50)), { kind: 'program', process: 50 });
  assert.deepEqual(eventOf(end, words(50, 50, 3 << 8, 17, 40, 40)), { kind: 'end', process: 50, code: 3, isFirstThread: true });
  assert.deepEqual(eventOf(end, words(50, 50, 9, 17, 0, 0)), { kind: 'end', process: 50, code: 137, isFirstThread: true });
  assert.deepEqual(eventOf(end, words(50, 50, 0x80 | 11, 17, 0, 0)), { kind: 'end', process: 50, code: 139, isFirstThread: true });
  assert.deepEqual(eventOf(end, words(51, 50, 0, 0xffffffff, 0, 0)), { kind: 'end', process: 50, code: 0, isFirstThread: false });
  const text = new TextEncoder().encode('busybox\0\0\0\0\0\0\0\0\0');
  assert.deepEqual(eventOf(name, joinBytes([words(50, 50), text])), { kind: 'name', process: 50, name: 'busybox' });
  const long = new TextEncoder().encode('a-name-of-16-let');
  assert.deepEqual(eventOf(name, joinBytes([words(50, 50), long])), { kind: 'name', process: 50, name: 'a-name-of-16-let' });
});

test('what is of no interest counts all the same: what is left out of the count was lost', () => {
  const nothing = { processor: 1, count: 7, event: undefined };
  assert.deepEqual(readProcessEvent(told(group, words(50, 50, 0, 0))), nothing);
  assert.deepEqual(readProcessEvent(told(start, words(40, 40, 51, 50))), nothing, 'a thread');
  assert.deepEqual(readProcessEvent(told(name, words(51, 50, 0, 0, 0, 0))), nothing, 'the name of a thread');
  assert.deepEqual(readProcessEvent(told(0, words(0))), nothing, 'an answer to somebody who began to listen');
});

test('what is none of these messages is passed over', () => {
  assert.equal(readProcessEvent(new Uint8Array()), undefined);
  assert.equal(readProcessEvent(told(start, words(1, 1, 2, 2)).subarray(0, 40)), undefined);
  assert.equal(readProcessEvent(told(start, words(1, 1, 2, 2), { index: 2 })), undefined);
  assert.equal(readProcessEvent(told(0, words(0), { processor: 0xffffffff })), undefined, 'the answer of an older kernel');
});
