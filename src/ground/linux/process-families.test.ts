import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ProcessEvent } from './process-events.ts';
import { createProcessFamilies, type ProcessFamilies, type SeenProcess } from './process-families.ts';

const mark = 'a1b2c3d4e5f607';
const worker = 10;

function start(process: number, parent: number): ProcessEvent {
  return { kind: 'start', process, parent };
}

function program(process: number): ProcessEvent {
  return { kind: 'program', process };
}

function name(process: number, text: string): ProcessEvent {
  return { kind: 'name', process, name: text };
}

function end(process: number, code: number, isFirstThread = true): ProcessEvent {
  return { kind: 'end', process, code, isFirstThread };
}

/** A runtime (20) that became a program twice, and its container's first process (30). */
function begun(number = 20, its = mark): readonly ProcessEvent[] {
  return [
    name(worker, its),
    start(number, worker),
    program(number),
    name(worker, 'MainThread'),
    program(number),
    start(number + 10, number),
    program(number + 10),
  ];
}

function ended(code: number, number = 20): readonly ProcessEvent[] {
  return [end(number + 10, code), end(number, code)];
}

function families(...events: readonly ProcessEvent[]): ProcessFamilies {
  const made = createProcessFamilies();
  made.expect(mark);
  for (const event of events) made.take(event);
  return made;
}

function child(code: number, programs = 1, more: Partial<SeenProcess> = {}): SeenProcess {
  return { name: undefined, laterName: undefined, programs, code, ...more };
}

test('the children of what was started under a mark are told with their ends, in the order of their starts', () => {
  const known = families(
    start(99, worker),
    ...begun(),
    start(40, 30),
    program(40),
    start(50, 40),
    program(50),
    end(50, 7),
    end(40, 0),
    // A later one, whose end is told first; and a copy.
    start(41, 30),
    program(41),
    start(42, 30),
    end(42, 1),
    end(41, 2),
    start(43, worker),
    end(43, 2),
    ...ended(2),
  );
  assert.deepEqual(known.endedBelow(mark, 2), { own: child(2), children: [child(0), child(2), child(1, 0)], isWhole: true });
  assert.equal(known.endedBelow(mark, 3), undefined, 'its runtime ended otherwise');
  assert.equal(known.endedBelow('another', 2), undefined);
});

test('two that run at once are told apart', () => {
  const other = 'ffffffffffff00';
  const known = createProcessFamilies();
  for (const each of [mark, other]) known.expect(each);
  const events = [...begun(), ...begun(60, other), start(40, 30), program(40), start(80, 70), program(80), end(80, 4), end(40, 1)];
  for (const event of [...events, ...ended(1), ...ended(4, 60)]) known.take(event);
  assert.deepEqual(known.endedBelow(mark, 1), { own: child(1), children: [child(1)], isWhole: true });
  assert.deepEqual(known.endedBelow(other, 4), { own: child(4), children: [child(4)], isWhole: true });
  known.forget(mark);
  assert.equal(known.endedBelow(mark, 1), undefined);
  assert.deepEqual(known.endedBelow(other, 4), { own: child(4), children: [child(4)], isWhole: true });
});

test('while an end was not told, they run', () => {
  const known = families(...begun(), start(40, 30), program(40), end(30, 1));
  assert.equal(known.endedBelow(mark, 1), 'running', 'the runtime');
  known.take(end(20, 1));
  assert.equal(known.endedBelow(mark, 1), 'running', 'the child');
  known.take(end(40, 1));
  assert.notEqual(known.endedBelow(mark, 1), 'running');
});

test('where it could be another one, or something was lost, nothing is told', () => {
  assert.equal(families(...begun(), start(31, 20), program(31), end(31, 2), ...ended(2)).endedBelow(mark, 2), undefined);
  assert.equal(
    families(...begun().slice(0, 2), ...begun(60).slice(1), ...ended(1, 60)).endedBelow(mark, 1),
    undefined,
    'two under one mark',
  );
  const lost = families(...begun(), start(40, 30));
  lost.lose();
  for (const event of [end(40, 1), ...ended(1)]) lost.take(event);
  assert.equal(lost.endedBelow(mark, 1), undefined);
  // What a runtime starts before the container may end well, and so may that: it is the last.
  const early = families(...begun(), start(31, 20), program(31), end(31, 0), start(40, 30), end(40, 3), ...ended(0));
  assert.deepEqual(early.endedBelow(mark, 0), { own: child(0), children: [child(3, 0)], isWhole: true });
});

test('a first thread that ends before others does not say how the process ends', () => {
  const threads = (...events: readonly ProcessEvent[]): unknown => {
    const found = families(...begun(), start(40, 30), program(40), ...events, ...ended(1)).endedBelow(mark, 1);
    return typeof found === 'object' && found.isWhole;
  };
  assert.equal(threads(end(40, 1, false), end(40, 3)), true, 'others ended before');
  assert.equal(threads(end(40, 3), end(40, 3, false)), true, 'all end at once');
  assert.equal(threads(end(40, 0), end(40, 3, false)), false);
  // Another thread than the first becomes a program: the others are killed.
  assert.equal(threads(end(40, 137), end(40, 0, false), program(40), end(40, 3)), true);
});

test('more children than are kept are none that is told of', () => {
  const many = Array.from({ length: 1001 }, (_, at) => [start(100 + at, 30), end(100 + at, 0)]).flat();
  const found = families(...begun(), ...many, ...ended(1)).endedBelow(mark, 1);
  assert.equal(typeof found === 'object' && found.isWhole, false);
});

test('a name counts for what was there when it was looked for, and until it becomes another program', () => {
  const known = families(...begun(), start(40, 30), program(40), start(41, 30), program(41), start(42, 30), name(42, 'ls'));
  const asked = known.nameless();
  assert.deepEqual(
    asked.map(({ process }) => process),
    [20, 30, 40, 41],
  );
  assert.deepEqual(known.nameless(), [], 'once');
  for (const event of [end(40, 0), program(41)]) known.take(event);
  for (const each of asked) known.name(each, `name ${each.process}`);
  assert.deepEqual(known.nameless(), [{ process: 41, programs: 2 }]);
  for (const event of [end(41, 0), end(42, 1), ...ended(1)]) known.take(event);
  assert.deepEqual(known.endedBelow(mark, 1), {
    own: child(1, 1, { name: 'name 30' }),
    children: [child(0), child(0, 2), child(1, 0, { laterName: 'ls' })],
    isWhole: true,
  });
});

test('a name that a program gave itself is not taken for that of the program', () => {
  const known = families(...begun(), start(40, 30), program(40));
  const asked = known.nameless();
  known.take(name(40, 'MainThread'));
  for (const each of asked) known.name(each, 'MainThread');
  for (const event of [end(40, 1), ...ended(1)]) known.take(event);
  const found = known.endedBelow(mark, 1);
  assert.deepEqual(typeof found === 'object' && found.children, [child(1, 1, { laterName: 'MainThread' })]);
});
