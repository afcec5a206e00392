import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JettisonError } from './errors.ts';
import { retry, sleep } from './retry.ts';

const never = new AbortController().signal;
const options = { tries: 3, firstPause: 0, random: () => 0.5 };
const passing = (): JettisonError => new JettisonError('x/busy', 'Busy', { retryable: true });

async function secondTime(attempt: number): Promise<number> {
  return attempt === 1 ? await Promise.reject(passing()) : await Promise.resolve(attempt);
}

test('tries again while the error says that it may pass, and no more often than told', async () => {
  const attempts: number[] = [];
  const task = async (attempt: number): Promise<string> => {
    attempts.push(attempt);
    if (attempt < 3) throw passing();
    return await Promise.resolve('done');
  };
  assert.equal(await retry(task, options, never), 'done');
  assert.deepEqual(attempts, [1, 2, 3]);
  attempts.length = 0;
  await assert.rejects(retry(task, { ...options, tries: 2 }, never), /Busy/u);
  assert.deepEqual(attempts, [1, 2]);
});

test('what does not say so is thrown at once', async () => {
  for (const error of [new JettisonError('x/no', 'No'), new Error('not ours'), Object.assign(new Error('not ours'), { retryable: true })]) {
    let calls = 0;
    const task = async (): Promise<void> => {
      calls++;
      await Promise.reject(error);
    };
    await assert.rejects(retry(task, options, never), (thrown) => thrown === error);
    assert.equal(calls, 1);
  }
});

test('the far side may ask for a pause; it counts in place of our own', async () => {
  const asked: JettisonError[] = [];
  const askedPause = (error: JettisonError): number => asked.push(error) - asked.length;
  assert.equal(await retry(secondTime, { ...options, firstPause: 1e9, askedPause }, never), 2);
  assert.equal(asked.length, 1);
});

test('a pause ends when the signal aborts, with its reason; after that nothing is tried', async () => {
  const controller = new AbortController();
  const reason = new Error('enough');
  let calls = 0;
  const task = async (): Promise<void> => {
    calls++;
    setImmediate(() => controller.abort(reason));
    await Promise.reject(passing());
  };
  await assert.rejects(retry(task, { ...options, firstPause: 1e6 }, controller.signal), (error) => error === reason);
  await assert.rejects(sleep(0, controller.signal), (error) => error === reason);
  assert.equal(calls, 1);
});
