/** `npm test`: everything of `npm run ok`, then integration and end-to-end tests on the real kernel, runtime and registry. Prints one line of counts at the end. */
import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';

const suites = [
  { name: 'unit', arguments: ['--test-isolation=none', 'src/**/*.test.ts'] },
  { name: 'integration', arguments: ['--test-concurrency=1', 'test/integration/**/*.test.ts'] },
  { name: 'end to end', arguments: [`--test-concurrency=${Math.min(2, availableParallelism())}`, 'test/e2e/**/*.test.ts'] },
] as const;
const checks = ['format', 'lint', 'types', 'house', 'docs:check', 'dead'];

let failedChecks = 0;
for (const name of checks) {
  const done = spawnSync('npm', ['run', '-s', name], { stdio: 'inherit' });
  if (done.status === 0) continue;
  failedChecks++;
  console.error(`npm run ${name} failed`);
}

const total = { passed: 0, failed: 0, skipped: 0 };
for (const suite of suites) {
  console.log(`\n== ${suite.name} tests`);
  const done = spawnSync(process.execPath, ['--test', '--test-reporter=spec', ...suite.arguments], {
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
    maxBuffer: 1 << 30,
  });
  process.stdout.write(done.stdout);
  const count = (word: string): number => Number(new RegExp(`^ℹ ${word} (\\d+)$`, 'mu').exec(done.stdout)?.[1] ?? 0);
  total.passed += count('pass');
  total.failed += count('fail') + count('cancelled');
  total.skipped += count('skipped');
  if (done.status !== 0 && count('fail') === 0) total.failed++;
}
if (failedChecks > 0) console.log(`\n${failedChecks} of ${checks.length} checks failed`);
console.log(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exitCode = failedChecks + total.failed + total.skipped > 0 ? 1 : 0;
