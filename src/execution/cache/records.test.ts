import assert from 'node:assert/strict';
import { mkdtempDisposableSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { digestOf } from '#ground/base/digest.ts';
import { openDatabase } from '#stores/db/open.ts';
import { cacheKey, contentKeyOf, type CacheKey } from './key.ts';
import { cacheTables, evictionTables, shapeTables, turnTables, worthTables, openCacheRecords, type CacheRecord } from './records.ts';

const keyOf = (text: string): CacheKey => contentKeyOf(digestOf(text));
const recordOf = (resultId: string, first = resultId): CacheRecord => ({ resultId, key: keyOf(first), createdAt: 1000, cost: 12 });

function openTwice(folder: string) {
  const file = join(folder, 'x.db');
  const databases = [
    openDatabase({ file, migrations: [cacheTables, evictionTables, worthTables, turnTables, shapeTables] }),
    openDatabase({ file, migrations: [cacheTables, evictionTables, worthTables, turnTables, shapeTables] }),
  ] as const;
  return {
    one: openCacheRecords(databases[0]),
    two: openCacheRecords(databases[1]),
    [Symbol.dispose]() {
      for (const database of databases) database[Symbol.dispose]();
    },
  };
}

test('a key leads to the record it was saved with, and more keys may lead there', () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-cache-');
  using records = openTwice(folder.path);
  assert.equal(records.one.find(keyOf('a')), undefined);
  records.one.save(keyOf('a'), recordOf('a'));
  records.one.save(keyOf('slow'), recordOf('a'));
  assert.deepEqual(records.two.find(keyOf('a')), recordOf('a'));
  const linked = records.two.find(keyOf('slow'));
  assert.deepEqual(linked, recordOf('a'));
  assert.equal(records.one.list().length, 1);
});

test('of two builds that save one key the first wins; replacing changes it', () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-cache-');
  using records = openTwice(folder.path);
  records.one.save(keyOf('k'), recordOf('first', 'k'));
  assert.equal(records.two.save(keyOf('k'), recordOf('second', 'k')).resultId, recordOf('first', 'k').resultId);
  assert.equal(records.one.find(keyOf('k'))?.resultId, 'first');
  assert.deepEqual(
    records.one.list().map(({ resultId }) => resultId),
    ['first'],
  );
  records.two.replace(keyOf('k'), recordOf('third', 'run again'));
  assert.deepEqual(records.one.find(keyOf('k')), recordOf('third', 'run again'));
  // What was replaced is still known as a result that takes room.
  assert.deepEqual(
    records.one.list().map(({ resultId }) => resultId),
    ['first', 'third'],
  );
});

test('a result that is forgotten is found under none of its keys', () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-cache-');
  using records = openTwice(folder.path);
  records.one.save(keyOf('a'), recordOf('x', 'a'));
  records.one.save(keyOf('b'), recordOf('x', 'a'));
  records.one.save(keyOf('c'), recordOf('y', 'c'));
  records.two.forget('x');
  assert.deepEqual(
    ['a', 'b', 'c'].map((text) => records.one.find(keyOf(text))?.resultId),
    [undefined, undefined, 'y'],
  );
  records.one.save(keyOf('b'), recordOf('z', 'b'));
  assert.equal(records.two.find(keyOf('b'))?.resultId, 'z');
});

test('a key of an evicted result says when and by which rule; one that was merely forgotten does not', () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-cache-');
  using records = openTwice(folder.path);
  records.one.save(keyOf('a'), recordOf('x', 'a'));
  records.one.save(keyOf('b'), recordOf('x', 'a'));
  records.one.save(keyOf('c'), recordOf('y', 'c'));
  records.one.forget('x', { at: 5000.4, rule: 'too old' });
  records.one.forget('y');
  assert.deepEqual(
    ['a', 'b', 'c'].map((text) => records.two.evicted(keyOf(text))),
    [{ at: 5000, rule: 'too old' }, { at: 5000, rule: 'too old' }, undefined],
  );
  records.one.save(keyOf('a'), recordOf('z', 'a'));
  records.one.forget('z', { at: 6000, rule: 'again' });
  assert.deepEqual(records.two.evicted(keyOf('a')), { at: 6000, rule: 'again' });
});

test('records are listed the longest unused first', () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-cache-');
  using records = openTwice(folder.path);
  for (const name of ['a', 'b', 'c']) records.one.save(keyOf(name), { ...recordOf(name), createdAt: 1000.4, cost: 0.6 });
  records.two.touch(['a', 'c', 'unknown'], 5000.5);
  records.two.touch(['a'], 3000);
  assert.deepEqual(
    records.one.list().map(({ resultId, lastUsedAt, createdAt, cost }) => [resultId, lastUsedAt, createdAt, cost]),
    [
      ['b', 1000, 1000, 1],
      ['a', 5001, 1000, 1],
      ['c', 5001, 1000, 1],
    ],
  );
});

test('which records the last build used follows from the order of builds; times of a clock that was set back can be ended', () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-cache-');
  using records = openTwice(folder.path);
  for (const name of ['a', 'b', 'c']) records.one.save(keyOf(name), recordOf(name));
  const seen = (): ReadonlyMap<string, unknown> =>
    new Map(records.one.list().map(({ resultId, lastUsedAt, isLast }) => [resultId, [lastUsedAt, isLast]]));
  records.one.touch(['a', 'b'], 9_000_000);
  assert.ok(records.one.list().every(({ isLast }) => !isLast));
  records.one.endTurn(['a', 'b']);
  records.two.touch(['b', 'c'], 8_000_000);
  records.two.endTurn(['b', 'c']);
  assert.deepEqual(
    seen(),
    new Map([
      ['a', [9_000_000, false]],
      ['b', [9_000_000, true]],
      ['c', [8_000_000, true]],
    ]),
  );
  records.one.endFuture(8_500_000.4);
  assert.deepEqual(seen().get('a'), [8_500_000, false]);
  assert.deepEqual(seen().get('c'), [8_000_000, true]);
});

test('keys differ by base, by place of an input, and by what stands for it', () => {
  const base = digestOf('base');
  const [a, b] = [keyOf('a'), keyOf('b')];
  const keys = [
    cacheKey({ base, inputs: [] }),
    cacheKey({ base: digestOf('other'), inputs: [] }),
    cacheKey({ base, inputs: [{ result: a }] }),
    cacheKey({ base, inputs: [{ content: a }] }),
    cacheKey({ base, inputs: [{ result: a }, { result: b }] }),
    cacheKey({ base, inputs: [{ result: b }, { result: a }] }),
  ];
  assert.equal(new Set(keys).size, keys.length);
});

test('the cost of a step is that of the last time it ran, whatever it was keyed by', () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-cache-');
  using records = openTwice(folder.path);
  records.one.save(keyOf('a'), { ...recordOf('a'), description: 'RUN make', cost: 500 });
  records.one.save(keyOf('b'), { ...recordOf('b'), description: 'RUN make', cost: 70 });
  records.one.save(keyOf('c'), { ...recordOf('c'), description: 'COPY . .' });
  records.one.save(keyOf('d'), recordOf('d'));
  assert.deepEqual(
    records.two.latestCosts(),
    new Map([
      ['COPY . .', 12],
      ['RUN make', 70],
    ]),
  );
});

test('the shape of a key outlives the record, for all who share the database', () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-cache-');
  using records = openTwice(folder.path);
  const shape = keyOf('shape');
  assert.equal(records.one.knowsShape(shape), false);
  records.one.save(keyOf('a'), recordOf('a'));
  records.one.keepShape(shape);
  records.one.keepShape(shape);
  records.one.forget('a');
  assert.equal(records.two.knowsShape(shape), true);
  assert.equal(records.two.knowsShape(keyOf('another shape')), false);
});
