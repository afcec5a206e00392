import { test } from 'node:test';
import assert from 'node:assert/strict';
import { terminalRest } from './terminal-rest.ts';

test('what a terminal had last is found in the log of errors, and nothing of the runtime', () => {
  const own = '{"msg": "cannot do it", "level": "error"}\n';
  assert.equal(terminalRest(''), '');
  assert.equal(terminalRest(own), '');
  assert.equal(terminalRest('hi\r\n\n'), 'hi\r\n');
  assert.equal(terminalRest(`${own}one\r\ntwo\r\n\n`), 'one\r\ntwo\r\n');
  const long = 'x'.repeat(255);
  assert.equal(terminalRest(`${long}\n${long}\nend\n`), `${long}${long}end`);
  assert.equal(terminalRest(`{ "a": 1 }\r\n\n`), '{ "a": 1 }\r\n');
});
