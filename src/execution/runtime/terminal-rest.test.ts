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
  // Read in two, behind a line and within one; a piece that ends between the two halves of a line break.
  assert.equal(terminalRest('24 80\r\n\nxterm\r\n\n'), '24 80\r\nxterm\r\n');
  assert.equal(terminalRest('24 \n80\r\n\n'), '24 80\r\n');
  assert.equal(terminalRest(`${'x'.repeat(254)}\r\n\nend\r\n\n`), `${'x'.repeat(254)}\r\nend\r\n`);
});
