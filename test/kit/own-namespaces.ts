/** Tests of what the worker process does run as it does: in mount and pid namespaces of their own, which take everything mounted and started with them. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { basename } from 'node:path';
import { test } from 'node:test';
import { unmount } from '#ground/linux/mount.ts';

/** A user namespace that maps root's own ids, so that files look the same from inside; newuidmap(1) wants it in these files. */
const userNamespace = [
  '--mount',
  'sh',
  '-c',
  `ids=$(mktemp) && echo root:0:65536 >"$ids" && touch /etc/subuid /etc/subgid && mount --bind "$ids" /etc/subuid && mount --bind "$ids" /etc/subgid && rm "$ids" && exec "$@"`,
  'sh',
  'unshare',
];
const ownNetwork = ['--net', 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh', 'unshare'];
const ownIds = ['--user', '--map-users=0,0,65536', '--map-groups=0,0,65536'];

/**
 * Registers `tests` where the process has namespaces of its own; else one test that runs `file` again in such, and with `users` a second one, where they are root of a user namespace.
 * With `network` they have a network of their own, with a `lo` that is up. Needs root.
 */
export function inOwnNamespaces(
  file: string,
  tests: () => void,
  { users = false, network = false }: { readonly users?: boolean; readonly network?: boolean } = {},
): void {
  if (process.pid === 1) {
    tests();
    return;
  }
  runAgain(file, 'in namespaces of its own', network ? ownNetwork : []);
  if (users) runAgain(file, 'in a user namespace, too', [...userNamespace, ...ownIds]);
}

function runAgain(file: string, where: string, before: readonly string[]): void {
  test(`${basename(file)} ${where}`, () => {
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const words = ['--mount', '--pid', '--fork', '--mount-proc', '--kill-child', process.execPath, '--test-reporter=spec', file];
    const { status } = spawnSync('unshare', [...before, ...words], { env, stdio: ['ignore', 'inherit', 'inherit'] });
    assert.equal(status, 0);
  });
}

/** Removes a folder and what is mounted below it: the tmpfs over a runtime's own folder goes with the runtime's process, which here is the test's. */
export function removeWithMounts(folder: string): void {
  const below = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '');
  for (const target of below.filter((path) => path.startsWith(`${folder}/`)).toReversed()) unmount(target);
  rmSync(folder, { recursive: true, force: true });
}
