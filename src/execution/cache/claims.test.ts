import assert from 'node:assert/strict';
import { mkdtempDisposableSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { cancelled } from '#ground/base/abort.ts';
import { digestOf } from '#ground/base/digest.ts';
import { isLeaseHeld, takeLease } from '#stores/db/lease.ts';
import { openDatabase } from '#stores/db/open.ts';
import { claimProcesses, claimTables, openClaims } from './claims.ts';
import { contentKeyOf } from './key.ts';

const key = contentKeyOf(digestOf('a step'));
const other = contentKeyOf(digestOf('another step'));
const { signal } = new AbortController();

/** Two processes as far as claims know: a lease and a connection each. */
function openTwo() {
  const stack = new DisposableStack();
  const { path } = stack.use(mkdtempDisposableSync('/tmp/jettison-claims-'));
  const leases = join(path, 'leases');
  const sides = [1, 2].map((time) => {
    const lease = takeLease(leases, time);
    const database = stack.use(openDatabase({ file: join(path, 'a.db'), migrations: [claimTables, claimProcesses] }));
    return { lease, claims: openClaims(database, { own: () => lease.name, isHeld: (name) => isLeaseHeld(leases, name) }) };
  });
  const [one, two] = sides;
  assert.ok(one && two);
  return {
    one,
    two,
    [Symbol.dispose]: () => {
      for (const { lease } of sides) lease[Symbol.dispose]();
      stack.dispose();
    },
  };
}

test('a key has one claim at a time, whoever asks; other keys are free', async () => {
  using sides = openTwo();
  const { one, two } = sides;
  const claim = one.claims.take(key);
  assert.ok(claim);
  assert.equal(one.claims.take(key), undefined);
  assert.equal(two.claims.take(key), undefined);
  assert.equal(two.claims.otherProcess(key), undefined, 'both sides are this process');
  two.claims.take(other)?.[Symbol.dispose]();
  let freed = false;
  const waiting = two.claims.free(key, signal).then(() => (freed = true));
  await new Promise(setImmediate);
  assert.equal(freed, false);
  claim[Symbol.dispose]();
  await waiting;
  using again = two.claims.take(key);
  assert.ok(again);
  claim[Symbol.dispose]();
  assert.equal(one.claims.take(key), undefined, 'a claim given back twice took the claim of another process');
});

test('the claim of a process that has ended counts no more', async () => {
  using sides = openTwo();
  const { one, two } = sides;
  assert.ok(one.claims.take(key));
  const waiting = two.claims.free(key, signal);
  one.lease[Symbol.dispose]();
  await waiting;
  assert.ok(two.claims.take(key));
});

test('waiting ends with the signal', async () => {
  using sides = openTwo();
  const { one, two } = sides;
  using claim = one.claims.take(key);
  assert.ok(claim);
  const controller = new AbortController();
  const waiting = two.claims.free(key, controller.signal);
  controller.abort(cancelled('enough'));
  await assert.rejects(waiting, { code: 'base/cancelled' });
});
