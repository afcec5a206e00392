import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempDisposableSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { clearDeadLeases, listLeases, takeLease } from './lease.ts';

test('leases that are held are listed, the oldest first; those given back are not', () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-lease-');
  assert.deepEqual(listLeases(folder.path), []);
  const late = takeLease(folder.path, 2000.7);
  using early = takeLease(folder.path, 1000);
  assert.deepEqual(
    listLeases(folder.path).map((lease) => lease.since),
    [1000, 2000],
  );
  assert.deepEqual(
    listLeases(folder.path, early.name).map((lease) => lease.name),
    [late.name],
  );
  late[Symbol.dispose]();
  assert.deepEqual(listLeases(folder.path, early.name), []);
  assert.deepEqual(readdirSync(folder.path), [early.name]);
});

test('the lease of a process that is killed ends with it', async () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-lease-');
  const script = `import { takeLease } from ${JSON.stringify(fileURLToPath(new URL('lease.ts', import.meta.url)))};
    globalThis.lease = takeLease(${JSON.stringify(folder.path)}, 5); console.log('held'); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
    cwd: fileURLToPath(new URL('../../..', import.meta.url)),
  });
  await once(child.stdout, 'data');
  assert.deepEqual(
    listLeases(folder.path).map((lease) => lease.since),
    [5],
  );
  assert.equal(clearDeadLeases(folder.path), false);
  child.kill('SIGKILL');
  await once(child, 'exit');
  assert.equal(clearDeadLeases(folder.path), true);
  assert.deepEqual(readdirSync(folder.path), []);
  assert.deepEqual(listLeases(folder.path), []);
  assert.equal(clearDeadLeases(folder.path), false);
});
