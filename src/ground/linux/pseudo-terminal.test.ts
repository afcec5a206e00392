import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, writeSync } from 'node:fs';
import { once } from 'node:events';
import { openPseudoTerminal, readTerminal } from './pseudo-terminal.ts';

test('nothing that is written to it is changed, even when a runtime switches that on; what is set can be seen from outside', async () => {
  const { master, slave } = openPseudoTerminal({ rows: 24, columns: 80 });
  try {
    assert.deepEqual(readTerminal(process.pid), { changesOutput: false });
    assert.equal(spawnSync('stty', ['opost'], { stdio: [slave, 'ignore', 'ignore'] }).status, 0);
    assert.deepEqual(readTerminal(process.pid), { changesOutput: true });
    const read = once(master, 'data');
    writeSync(slave, 'a\nb');
    const [bytes] = await read;
    assert.equal(String(bytes), 'a\nb');
  } finally {
    closeSync(slave);
    master.once('error', () => undefined).destroy();
  }
  assert.equal(readTerminal(process.pid), undefined);
});
