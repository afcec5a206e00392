/** Layers that are long and do not shrink: they are sent while they are made, and not kept. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { startDockerRegistry } from '#test/kit/docker-registry.ts';
import { startRegistry } from '#test/kit/registry.ts';
import { openSandbox, type Sandbox } from '#test/kit/sandbox.ts';

/** Longer than all segments that a registry may ask for again. */
const length = 100 << 20;

/** Blobs of more than 1 MB in the store, and all that is being written. */
function largeBlobs(sandbox: Sandbox): readonly number[] {
  const content = join(sandbox.store, 'content');
  assert.deepEqual(readdirSync(join(content, 'ingest')), []);
  const folder = join(content, 'blobs/sha256');
  return readdirSync(folder)
    .map((name) => statSync(join(folder, name)).size)
    .filter((size) => size > 1e6);
}

async function pushTo(sandbox: Sandbox, name: string): Promise<string> {
  await sandbox.succeed(['tag', 'app', name]);
  return await sandbox.succeed(['push', name]);
}

test('a long layer that does not shrink is pushed and not kept; afterwards its digest finds it, and a registry that forgets gets it again', async () => {
  await using sandbox = await openSandbox();
  const context = sandbox.files({ Dockerfile: 'FROM scratch\nCOPY long /long\n', long: randomBytes(length) });
  await sandbox.succeed(['build', '-t', 'app', context]);
  {
    await using registry = await startDockerRegistry();
    await pushTo(sandbox, `${registry.host}/app:v1`);
    assert.deepEqual(largeBlobs(sandbox), []);
    execFileSync('skopeo', ['copy', '-q', '--src-tls-verify=false', `docker://${registry.host}/app:v1`, `dir:${sandbox.folder}/copied`]);
    execFileSync(
      'gzip',
      ['-t', ...readdirSync(`${sandbox.folder}/copied`).filter((name) => statSync(`${sandbox.folder}/copied/${name}`).size > length)],
      {
        cwd: `${sandbox.folder}/copied`,
      },
    );
    assert.match(await pushTo(sandbox, `${registry.host}/app:v2`), /already exists/u);
    assert.match(await pushTo(sandbox, `${registry.host}/other:v1`), /Mounted/u);
    assert.deepEqual(largeBlobs(sandbox), []);
  }
  for (const fault of ['push-drop-once', 'session-lost'] as const) {
    await using registry = await startRegistry(fault);
    sandbox.configure({ registries: { [registry.host]: { plainHttp: true } } });
    await pushTo(sandbox, `${registry.host}/app:v1`);
    assert.ok(
      [...registry.blobs.values()].some((blob) => blob.length > length),
      fault,
    );
    assert.ok(registry.manifests.has('app:v1'), fault);
    // What is asked for again from its beginning is made again, and kept this time.
    assert.equal(largeBlobs(sandbox).length, fault === 'session-lost' ? 1 : 0, fault);
  }
});
