import { test } from 'node:test';
import assert from 'node:assert/strict';
import { createLineBreaks } from './line-breaks.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (piece: Uint8Array): string => new TextDecoder().decode(piece);

test('each line feed has one carriage return before it, whoever put it there, and wherever the pieces end', () => {
  const take = createLineBreaks(
    () => [1],
    () => ({ changesOutput: true }),
  );
  assert.equal(text(take(bytes('one\r\ntwo\n\nthree\r'))), 'one\r\ntwo\r\n\r\nthree\r');
  assert.equal(text(take(bytes('\nfour'))), '\nfour');
  assert.equal(text(take(bytes('\n'))), '\r\n');
  const whole = bytes('nothing to do\r\n');
  assert.equal(take(whole), whole);
});

test('a program that has its output left alone gets that', () => {
  let known: boolean | undefined = false;
  const take = createLineBreaks(
    () => [1],
    () => (known === undefined ? undefined : { changesOutput: known }),
  );
  assert.equal(text(take(bytes('a\nb'))), 'a\nb');
  known = undefined;
  assert.equal(text(take(bytes('c\n'))), 'c\r\n', 'nobody is left to tell');
  known = true;
  assert.equal(text(take(bytes('d\n'))), 'd\r\n');
});
