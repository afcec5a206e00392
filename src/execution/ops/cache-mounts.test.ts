import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { tryLockFile } from '#ground/linux/lock-file.ts';
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
