import { test } from 'node:test';
import assert from 'node:assert/strict';
import { openContainerLog } from './log-file.ts';

test('a disk that is full costs lines of the log, not the container that writes them', () => {
  // full(4): every write fails with ENOSPC.
  using log = openContainerLog('/dev/full', () => 0);
  log.write('stdout', new TextEncoder().encode('one\n'));
  log.write('stderr', new TextEncoder().encode('two\nhalf'));
  assert.ok(true, 'nothing was thrown');
});
