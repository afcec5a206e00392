/** Tests of what the worker process does run as it does: in mount and pid namespaces of their own, which take everything mounted and started with them. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { basename } from 'node:path';
import { test } from 'node:test';

/** Registers `tests` where the process has namespaces of its own; else one test that runs `file` again in such. Needs root. */
export function inOwnNamespaces(file: string, tests: () => void): void {
  if (process.pid === 1) {
    tests();
    return;
  }
  test(`${basename(file)} in namespaces of its own`, () => {
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const words = ['--mount', '--pid', '--fork', '--mount-proc', '--kill-child', process.execPath, '--test-reporter=spec', file];
    const { status } = spawnSync('unshare', words, { env, stdio: ['ignore', 'inherit', 'inherit'] });
    assert.equal(status, 0);
  });
}
