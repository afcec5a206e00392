/** A pull into a store whose disk is full says so, leaves nothing half done, and works once there is room. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isCode } from '#ground/base/errors.ts';
import { openContentStore } from '#stores/content/store.ts';
import { addImage, sampleImage, startRegistry } from '#test/kit/registry.ts';
import { checkStore, clientFor, pullAndCheck, temporary } from '#test/kit/transfer.ts';

for (const [what, options] of [
  ['bytes', 'size=1m'],
  ['inodes', 'nr_inodes=9'],
] as const) {
  test(`full disk (${what}) during a pull`, async () => {
    using folder = temporary();
    const disk = join(folder.path, 'disk');
    mkdirSync(disk);
    execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', disk]);
    try {
      const content = openContentStore({ folder: join(disk, 'store') });
      writeFileSync(join(disk, 'ballast'), Buffer.alloc(700_000));
      await using registry = await startRegistry();
      const image = sampleImage([600_000, 50_000]);
      addImage(registry, 'app:v1', image);
      using client = clientFor();
      await assert.rejects(
        pullAndCheck(registry.host, image, content, client),
        (error) => isCode(error, 'content/no-space') && error.message.includes(disk) && error.message.includes('no space left on device'),
      );
      await checkStore(content);
      rmSync(join(disk, 'ballast'));
      if (what === 'inodes') execFileSync('mount', ['-o', 'remount,nr_inodes=100', disk]);
      await pullAndCheck(registry.host, image, content, client);
    } finally {
      execFileSync('umount', [disk]);
    }
  });
}
