import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { canonicalJson, type Json } from './canonical-json.ts';
import { randomRuns } from '#test/kit/random.ts';

test('keys are sorted by UTF-16 unit, undefined members are left out, lists keep their order', () => {
  assert.equal(
    canonicalJson({ b: [2, 1], a: { z: null, y: undefined }, '\u{1f600}': 1, '\uffff': 'x' }),
    '{"a":{"z":null},"b":[2,1],"\u{1f600}":1,"\uffff":"x"}',
  );
});

test('it is JSON of the same value, whatever the order of the keys', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = canonicalJson(value);
      assert.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(value)));
      assert.equal(canonicalJson(turned(value)), text);
    }),
    randomRuns(),
  );
});

/** The same value with the keys of all objects the other way round. */
function turned(value: Json): Json {
  if (value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map(turned);
  return Object.fromEntries(
    Object.entries(value)
      .toReversed()
      .map(([key, member]) => [key, turned(member as Json)]),
  );
}
