import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { StoreEvent } from './event.ts';
import { followEvents } from './follow.ts';
import { eventFiles, openEventRecord } from './record.ts';

const event = (id: string) => ({ type: 'container', action: 'start', id, attributes: { name: id } }) as const;

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync('/tmp/jettison-events-');
  try {
    await work(join(folder, 'events'));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function past(folder: string, span = { since: 0, until: 1e15 - 1 }): Promise<readonly StoreEvent[]> {
  const found: StoreEvent[] = [];
  await followEvents(folder, span, { now: () => 1e15, take: (one) => found.push(one) }, new AbortController().signal);
  return found;
}

test('what was appended is read in order and by time; lines that are none are left out', async () => {
  await inFolder(async (folder) => {
    assert.deepEqual(await past(folder), []);
    let now = 1000;
    const record = openEventRecord(folder, () => now);
    record.append(event('a'));
    record.append(event('b'));
    appendFileSync(join(folder, eventFiles.current), 'nonsense\n{"at":1}\n');
    now = 2000;
    record.append(event('c'));
    appendFileSync(join(folder, eventFiles.current), '{"at":3000,"nanosec');
    const all = await past(folder);
    assert.deepEqual(
      all.map(({ id, at, nanoseconds }) => [id, at, nanoseconds]),
      [
        ['a', 1000, 0],
        ['b', 1000, 1],
        ['c', 2000, 0],
      ],
    );
    assert.deepEqual(
      (await past(folder, { since: 1500, until: 2500 })).map(({ id }) => id),
      ['c'],
    );
  });
});

test('the record is bounded, and who follows it misses nothing when it is put aside', async () => {
  await inFolder(async (folder) => {
    const record = openEventRecord(folder, Date.now);
    record.append(event('early'));
    const seen: string[] = [];
    const controller = new AbortController();
    let awaited = { id: '', arrived: Promise.withResolvers<void>() };
    const take = ({ id }: StoreEvent): void => {
      seen.push(id);
      if (id === awaited.id) awaited.arrived.resolve();
    };
    const following = followEvents(folder, { since: undefined, until: undefined }, { now: Date.now, take }, controller.signal);
    const long = 'x'.repeat(10_000);
    for (let first = 0; first < 160; first += 40) {
      awaited = { id: String(first + 39), arrived: Promise.withResolvers<void>() };
      for (let index = first; index < first + 40; index++) record.append({ ...event(String(index)), attributes: { long } });
      await awaited.arrived.promise;
    }
    controller.abort(new Error('enough'));
    await assert.rejects(following, /enough/u);
    assert.deepEqual(
      seen,
      Array.from({ length: 160 }, (_, index) => String(index)),
    );
    assert.ok(!seen.includes('early'));
    const bytes = readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
    assert.ok(bytes < 1_200_000, `${bytes}`);
  });
});

test('a line that is seen while it is written, and ends within a character', async () => {
  await inFolder(async (folder) => {
    const record = openEventRecord(folder, Date.now);
    record.append(event('first'));
    const controller = new AbortController();
    let arrived = Promise.withResolvers<StoreEvent>();
    const take = (one: StoreEvent): void => arrived.resolve(one);
    const following = followEvents(folder, { since: 0, until: undefined }, { now: Date.now, take }, controller.signal);
    try {
      assert.equal((await arrived.promise).id, 'first');
      const lines = ['before', 'Käse'].map((id) => `${JSON.stringify({ at: 1000, nanoseconds: 0, ...event(id) })}\n`);
      const bytes = Buffer.from(lines.join(''));
      const within = bytes.indexOf('ä') + 1;
      arrived = Promise.withResolvers();
      appendFileSync(join(folder, eventFiles.current), bytes.subarray(0, within));
      assert.equal((await arrived.promise).id, 'before');
      arrived = Promise.withResolvers();
      appendFileSync(join(folder, eventFiles.current), bytes.subarray(within));
      assert.equal((await arrived.promise).id, 'Käse');
    } finally {
      controller.abort(new Error('enough'));
    }
    await assert.rejects(following, /enough/u);
  });
});

test('a folder that cannot be written costs the event, nothing else', () => {
  const folder = mkdtempSync('/tmp/jettison-events-');
  try {
    writeFileSync(join(folder, 'file'), '');
    openEventRecord(join(folder, 'file'), Date.now).append(event('a'));
  } finally {
    rmSync(folder, { recursive: true });
  }
});
