import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { bootId } from '#ground/base/boot.ts';
import { tryLockFile } from '#ground/linux/lock-file.ts';
import { dropUnsafeData, listUnsafe, markUnsafe, mayHaveLostBytes, unmarkSafe } from './cache-mount-safety.ts';
import { cacheMountHolder, listCacheMounts, noteCacheMountUse } from './cache-mounts.ts';

test('measuring locks nothing, and counts anew once a step gave the folder back', () => {
  using place = openPlace();
  const { folder, mount } = place;
  const use = (holder: number | undefined): void => noteCacheMountUse(join(mount, '..'), mount, { id: 'go', holder });
  using lock = tryLockFile(join(mount, 'lock'), { exclusive: true, wait: false });
  assert.ok(lock);
  use(12);
  assert.equal(cacheMountHolder(mount), 12);
  age(mount, 10);
  const [before] = listCacheMounts(folder);
  assert.equal(before?.description, 'go');
  assert.equal(readFileSync(join(mount, 'bytes'), 'utf8'), String(before?.bytes), 'measured while somebody has it');
  writeFileSync(join(mount, 'data/more'), new Uint8Array(100_000));
  assert.equal(listCacheMounts(folder)[0]?.bytes, before?.bytes, 'it was measured since it was taken');

  age(mount, 5, 'bytes');
  use(undefined);
  assert.equal(cacheMountHolder(mount), undefined);
  assert.ok((listCacheMounts(folder)[0]?.bytes ?? 0) >= (before?.bytes ?? 0) + 100_000);
});

test('W5: what was not synced before another boot is dropped, and what was stays', () => {
  using place = openPlace();
  const { folder, mount } = place;
  const use = (): void => noteCacheMountUse(join(mount, '..'), mount, { id: 'go', holder: undefined });
  const pretendReboot = (): void => renameSync(join(mount, `unsafe.${bootId()}`), join(mount, 'unsafe.another'));
  const marks = (): readonly string[] => readdirSync(mount).filter((name) => name.startsWith('unsafe'));
  use();
  markUnsafe(mount);
  assert.equal(mayHaveLostBytes(mount), false, 'in this boot all is there');

  const found = listUnsafe(folder);
  assert.deepEqual(
    found.map((one) => one.folder),
    [mount],
  );
  age(mount, -1);
  unmarkSafe(found);
  assert.equal(marks().length, 1, 'a step had it during the sync');
  {
    using _ = tryLockFile(join(mount, 'lock'), { exclusive: false, wait: false });
    assert.deepEqual(listUnsafe(folder), [], 'a step has it');
    const [lock] = found;
    unmarkSafe(lock === undefined ? [] : [{ ...lock, usedAt: statSync(join(mount, 'lock')).mtimeMs }]);
    assert.equal(marks().length, 1, 'a step has it now');
  }
  pretendReboot();
  markUnsafe(mount);
  assert.equal(mayHaveLostBytes(mount), true);
  dropUnsafeData(mount);
  assert.equal(mayHaveLostBytes(mount), false);
  assert.deepEqual(readdirSync(mount).toSorted(), ['lock', ...marks()].toSorted());

  mkdirSync(join(mount, 'data'));
  unmarkSafe(listUnsafe(folder));
  assert.deepEqual(marks(), []);
  markUnsafe(mount);
  assert.equal(mayHaveLostBytes(mount), false, 'it was synced');
});

/** Sets a file's time back by so many seconds. */
function age(mount: string, seconds: number, name = 'lock'): void {
  const time = Date.now() / 1000 - seconds;
  utimesSync(join(mount, name), time, time);
}

function openPlace(): Disposable & { readonly folder: string; readonly mount: string } {
  const folder = mkdtempSync(join(tmpdir(), 'jettison-cache-mounts-'));
  const mount = join(folder, 'f'.repeat(64), '0');
  mkdirSync(join(mount, 'data'), { recursive: true });
  writeFileSync(join(mount, 'data/file'), 'some bytes');
  return { folder, mount, [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) };
}
