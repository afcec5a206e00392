import { test } from 'node:test';
import assert from 'node:assert/strict';
import { existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isCode } from '#ground/base/errors.ts';
import { removeWritten, writeAtomically } from './write-file.ts';

test('a file is written whole, a device stays a device, and nothing is left where it cannot be written', () => {
  const folder = mkdtempSync(join(tmpdir(), 'jettison-write-'));
  try {
    const file = join(folder, 'id');
    writeAtomically(file, 'one', 'the ID');
    writeAtomically(file, 'two', 'the ID');
    assert.equal(readFileSync(file, 'utf8'), 'two');
    removeWritten(file, 'it');
    assert.equal(existsSync(file), false);
    const device = join(folder, 'device');
    symlinkSync('/dev/null', device);
    writeAtomically(device, 'three', 'the ID');
    removeWritten(device, 'it');
    assert.equal(lstatSync(device).isSymbolicLink(), true);
    mkdirSync(join(folder, 'taken'));
    for (const wrong of ['taken', 'missing/id'])
      assert.throws(
        () => writeAtomically(join(folder, wrong), 'four', 'the ID'),
        (error) => isCode(error, 'cli/cannot-write'),
      );
    assert.deepEqual(readdirSync(folder).toSorted(), ['device', 'taken']);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
