/** `npm test`: everything of `npm run ok`, then integration and end-to-end tests on the real kernel, runtime and registry, of the bundle that would be published. Prints one line of counts at the end. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { watchStandstill } from './standing-still.ts';

/** The longest test takes six minutes on two cores. */
const longestSilence = 20 * 60_000;

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

// A copy: tests of the package make the bundle anew while others run.
const tested = resolve('.cache/tested');
rmSync(tested, { recursive: true, force: true });
if (spawnSync(process.execPath, ['scripts/bundle.ts'], { stdio: 'inherit' }).status !== 0) throw new Error('The bundle could not be made');
cpSync('dist', tested, { recursive: true });

const total = { passed: 0, failed: 0, skipped: 0 };
for (const suite of suites) {
  console.log(`\n== ${suite.name} tests`);
  const { status, output } = await runShowing([process.execPath, '--test', '--test-reporter=spec', ...suite.arguments]);
  // The last ones: a test that starts others in namespaces of their own prints their counts before.
  const summary = output.slice(output.lastIndexOf('\nℹ tests '));
  const count = (word: string): number => Number(new RegExp(`^ℹ ${word} (\\d+)$`, 'mu').exec(summary)?.[1] ?? 0);
  total.passed += count('pass');
  total.failed += count('fail') + count('cancelled');
  total.skipped += count('skipped');
  if (status !== 0 && count('fail') + count('cancelled') === 0) total.failed++;
}
if (failedChecks > 0) console.log(`\n${failedChecks} of ${checks.length} checks failed`);
console.log(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exitCode = failedChecks + total.failed + total.skipped > 0 ? 1 : 0;

/** Runs a command, shows its standard output as it comes, and gives it. */
async function runShowing([command = '', ...words]: readonly string[]): Promise<{
  readonly status: number | null;
  readonly output: string;
}> {
  const main = resolve(tested, 'main.cjs');
  const child = spawn(command, words, { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, JETTISON_TESTED: main } });
  using watch = watchStandstill(longestSilence, `JETTISON_TESTED=${main}`, child.pid ?? 0, (said) => console.log(said));
  const output: string[] = [];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    watch.moved();
    output.push(text);
    process.stdout.write(text);
  });
  await once(child, 'close');
  return { status: child.exitCode, output: output.join('') };
}
