/** What the kernel's maps of ids say. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { endOf } from './own-rights.ts';

test('the end of the ids from 0 on: of the whole machine, of one id, of ranges in any order, up to a hole', () => {
  assert.equal(endOf('         0          0 4294967295\n'), 4_294_967_295);
  assert.equal(endOf('         0       1000          1\n'), 1);
  assert.equal(endOf('         1     300000      65536\n         0       4242          1\n'), 65_537);
  assert.equal(endOf('         0       1000          1\n         5     300000        100\n'), 1);
  assert.equal(endOf('      1000       1000          1\n'), 0);
});
