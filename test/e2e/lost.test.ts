/** Snapshots that are gone, as after a crash of the machine, cost time only: the next build makes them again. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { removeWithStore } from '#test/kit/remove-store.ts';
import { openSandbox } from '#test/kit/sandbox.ts';

test('after the snapshots are lost a build, a run of a loaded image and a new build work without repair', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const context = sandbox.files({ Dockerfile: 'FROM busybox\nRUN echo one > /one\nCOPY a /a\nCMD ["cat", "/one", "/a"]\n', a: 'A\n' });
  await sandbox.succeed(['build', '-t', 'app', context]);
  const lose = (): void => removeWithStore(join(sandbox.store, 'snapshots'), sandbox.store);

  lose();
  sandbox.files({ a: 'B\n' });
  await sandbox.succeed(['build', '-t', 'app', context]);
  assert.equal(await sandbox.succeed(['run', '--rm', 'app']), 'one\nB\n');

  lose();
  const gone = await sandbox.jettison(['run', '--rm', 'app']);
  assert.equal(gone.status, 125);
  assert.match(gone.stderr, /not in the store/u);
  await sandbox.succeed(['build', '-t', 'app', context]);
  assert.equal(await sandbox.succeed(['run', '--rm', 'app']), 'one\nB\n');

  // Nothing has changed, and what is written somewhere is needed all the same.
  for (const fold of ['off', 'auto']) {
    lose();
    await sandbox.succeed(['build', `--fold=${fold}`, '-o', 'type=oci,dest=app.tar', context]);
  }

  lose();
  assert.equal(await sandbox.succeed(['run', '--rm', 'busybox', 'echo', 'loaded']), 'loaded\n');
});
