import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clean, isCode, JettisonError, messageOf, systemCode } from './errors.ts';

const span = { file: 'Dockerfile', start: { line: 2, column: 1 }, end: { line: 2, column: 9 } };

test('terminal escapes and passwords in URLs reach neither message nor hint', () => {
  const error = new JettisonError('x/y', 'Cannot read \u001b[2Jhttps://me:secret@host/path', { hint: 'Ask ftp://a:b@host\u009b' });
  assert.equal(error.message, 'Cannot read \u{fffd}[2Jhttps://***@host/path');
  assert.equal(error.hint, 'Ask ftp://***@host\u{fffd}');
});

test('a password that holds an at sign goes whole', () => {
  assert.equal(clean('https://me:p@ss@host/path'), 'https://***@host/path');
});

test('lines and tabs stay, and an at sign outside a URL', () => {
  assert.equal(clean('a\tb\nc me@host https://host/@x'), 'a\tb\nc me@host https://host/@x');
});

test('an error is the fault of who typed, and not worth another try, unless it says so', () => {
  const error = new JettisonError('x/y', 'No');
  assert.deepEqual(
    [error.fault, error.retryable, error.hint, error.at, error.notes, error.cause],
    ['user', false, undefined, [], [], undefined],
  );
});

test('what a caller adds leaves what is there: place and hint of the first, notes of both', () => {
  const inner = new JettisonError('x/y', 'No', { fault: 'bug', retryable: true, hint: 'first', notes: ['one'] });
  const outer = inner.with({ at: [span], hint: 'second', notes: ['two'] });
  assert.deepEqual([outer.code, outer.message, outer.fault, outer.retryable], ['x/y', 'No', 'bug', true]);
  assert.deepEqual([outer.hint, outer.at, outer.notes], ['first', [span], ['one', 'two']]);
  assert.equal(outer.cause, inner);
  assert.deepEqual(outer.with({ at: [] }).at, [span]);
});

test('codes are known whole, and of our errors only', () => {
  const error = new JettisonError('x/y', 'No');
  assert.ok(isCode(error, 'x/y'));
  assert.ok(!isCode(error, 'x/'));
  assert.ok(!isCode(Object.assign(new Error('No'), { code: 'x/y' }), 'x/y'));
});

test('the code of a system error is a text, whatever was thrown', () => {
  assert.equal(systemCode(Object.assign(new Error('gone'), { code: 'ENOENT' })), 'ENOENT');
  assert.equal(systemCode(Object.assign(new Error('odd'), { code: 7 })), undefined);
  assert.equal(systemCode({ code: 'ENOENT' }), undefined);
  assert.equal(messageOf('a text'), 'a text');
});
