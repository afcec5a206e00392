import assert from 'node:assert/strict';
import { lstatSync, mkdtempDisposableSync } from 'node:fs';
import { test } from 'node:test';
import { fromText } from '#ground/base/byte-string.ts';
import { putTime, statField, statLength } from '#ground/linux/stat-rows.ts';
import { createNewestTimes } from './newest.ts';

const at = 1_800_000_000_000_000_000n;
const millisecond = 1_000_000n;

/** Are files with these times (change, modification; of which file system) settled after so many milliseconds? */
function settled(folder: string, age: bigint, files: readonly (readonly [ctime: bigint, mtime: bigint, fileSystem?: number])[]): boolean {
  const newest = createNewestTimes();
  const own = Number(lstatSync(folder, { bigint: true }).dev);
  const rows = new Float64Array(files.length * statLength);
  for (const [index, [ctime, mtime, fileSystem = own]] of files.entries()) {
    const start = index * statLength;
    rows[start + statField.fileSystem] = fileSystem;
    putTime(rows, start + statField.ctime, ctime);
    putTime(rows, start + statField.mtime, mtime);
    newest.add(rows, start, () => fromText(fileSystem === own ? folder : '/proc/self/status'));
  }
  return newest.isSettled(at + age * millisecond);
}

test('the youngest file decides, and the coarsest', () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-newest-');
  const old = [at - 3_600_000n * millisecond + 1n, 0n] as const;
  const exact = [at + 1n, 0n] as const;
  for (const files of [[exact], [exact, old], [old, exact], [old, exact, old]]) {
    assert.equal(settled(folder.path, 90n, files), false);
    assert.equal(settled(folder.path, 110n, files), true);
  }
  const coarse = [at - millisecond, 0n] as const;
  const foreign = [at + 1n, 0n, 0x7fff_fff] as const;
  for (const files of [[coarse], [coarse, exact], [exact, coarse], [old, foreign], [foreign, old], [foreign, exact, foreign]]) {
    assert.equal(settled(folder.path, 1_900n, files), false);
    assert.equal(settled(folder.path, 2_100n, files), true);
  }
  // A modification time that was set to the future counts only where times are coarse.
  assert.equal(settled(folder.path, 110n, [[at + 1n, at + 3_600_000n * millisecond]]), true);
  assert.equal(settled(folder.path, 2_100n, [coarse, [at + 1n, at + 3_600_000n * millisecond]]), false);
  assert.equal(settled(folder.path, -1n, []), true);
});
