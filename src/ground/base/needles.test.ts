import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createNeedleSearch, type Needle } from './needles.ts';
import { randomRuns } from '#test/kit/random.ts';

const encoder = new TextEncoder();

function needle(text: string): Needle {
  return { id: text, bytes: encoder.encode(text) };
}

test('needles are found wherever the bytes are cut, at their offset', () => {
  const letters = fc.string({ unit: fc.constantFrom('a', 'b', '\0'), maxLength: 60 });
  const words = fc.array(fc.string({ unit: fc.constantFrom('a', 'b', '\0'), minLength: 4, maxLength: 9 }), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(letters, words, fc.array(fc.nat({ max: 12 }), { maxLength: 20 }), (text, found, cuts) => {
      const search = createNeedleSearch(found.map(needle));
      const bytes = encoder.encode(text);
      const sizes = [...cuts, bytes.length];
      let hit: ReturnType<typeof search.take>;
      let at = 0;
      for (const size of sizes) {
        hit ??= search.take(bytes.subarray(at, at + size));
        at += size;
      }
      assert.equal(
        hit !== undefined,
        found.some((word) => text.includes(word)),
      );
      if (hit !== undefined) assert.ok(text.startsWith(hit.needle.id, hit.at), `${hit.needle.id} at ${hit.at}`);
    }),
    randomRuns(2000),
  );
});

test('long needles, and bytes that come one at a time', () => {
  const long = 'x'.repeat(3000) + 'end of it';
  const search = createNeedleSearch([needle(long), needle('never here')]);
  const hits = Array.from(encoder.encode(`before ${long} after`), (byte) => search.take(Uint8Array.of(byte)));
  assert.deepEqual(
    hits.flatMap((hit) => hit?.at ?? []),
    [7],
  );
  assert.throws(() => createNeedleSearch([needle('abc')]), RangeError);
  assert.equal(createNeedleSearch([]).take(encoder.encode('anything')), undefined);
});
