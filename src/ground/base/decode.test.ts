import { test } from 'node:test';
import assert from 'node:assert/strict';
import * as v from 'valibot';
import { checkShape, parseJson, stringMap } from './decode.ts';
import { isCode } from './errors.ts';

const document = { what: 'the test file', code: 'base/bad-test', limit: 100_000 };
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

test('what is too long, too deep, not UTF-8 or not JSON is refused with the code of the document', () => {
  for (const bad of [
    bytes(`"${'x'.repeat(100_000)}"`),
    bytes('['.repeat(5000) + ']'.repeat(5000)),
    new Uint8Array([0x22, 0xff, 0x22]),
    bytes('{'),
  ]) {
    assert.throws(
      () => parseJson(bad, document),
      (error) => isCode(error, 'base/bad-test'),
    );
  }
  assert.deepEqual(parseJson(bytes('{"a":["]]]]\\"[[[["]}'), document), { a: [']]]]"[[[['] });
});

test('errors name the path', () => {
  const schema = v.looseObject({ a: v.array(v.looseObject({ b: v.string() })) });
  assert.throws(() => checkShape({ a: [{ b: 'x' }, { b: 1 }] }, schema, document), /the test file.*"a\.1\.b"/u);
});

test('members named __proto__ or constructor stay members, and are checked', () => {
  const schema = v.looseObject({ labels: stringMap() });
  const value = checkShape(parseJson(bytes('{"labels":{"__proto__":"x","constructor":"y"},"more":1}'), document), schema, document);
  assert.deepEqual(Object.entries(value.labels), [
    ['__proto__', 'x'],
    ['constructor', 'y'],
  ]);
  assert.equal(value['more'], 1);
  assert.equal(({} as Record<string, unknown>)['x'], undefined);
  assert.throws(() => checkShape(parseJson(bytes('{"labels":{"__proto__":{"x":1}}}'), document), schema, document), /labels/u);
});
