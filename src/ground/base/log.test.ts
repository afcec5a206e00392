import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

const program = `import { createLog } from ${JSON.stringify(new URL('./log.ts', import.meta.url).href)}; createLog('registry')('got %d of %s', 3, 'x'); createLog('solver')('silent');`;

test('a channel speaks on standard error when NODE_DEBUG names it, the others do not', () => {
  const { stdout, stderr } = run('jettison:registry');
  assert.equal(stdout, '');
  assert.match(stderr, /^JETTISON:REGISTRY \d+: got 3 of x\n$/u);
});

function run(channel: string) {
  return spawnSync(process.execPath, ['--input-type=module', '--eval', program], { env: { NODE_DEBUG: channel }, encoding: 'utf8' });
}
