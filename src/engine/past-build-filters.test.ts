import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { PastBuild } from '#execution/builds/past-build.ts';
import { isOfProject, parseBuildFilters } from './past-build-filters.ts';

const now = Date.parse('2026-01-31T10:00:00Z');
const hour = 3_600_000;

function past(of: Partial<PastBuild>): PastBuild {
  return {
    id: 'c0ffee123456',
    project: '',
    status: 'done',
    startedAt: now - 2 * hour,
    finishedAt: now - 2 * hour + 40_000,
    total: 1,
    cached: 0,
    names: [],
    imageId: null,
    dockerfile: 'Dockerfile',
    context: '/home/me/app',
    target: null,
    platform: null,
    error: null,
    warnings: 0,
    readBytes: 0,
    pulledBytes: 0,
    asked: null,
    ...of,
  };
}

test('filters of past builds have the names and comparisons of buildx', () => {
  const builds = {
    done: past({}),
    failed: past({ status: 'failed', finishedAt: now - 2 * hour + 5000 }),
    running: past({ status: 'running', startedAt: now - 60_000, finishedAt: 0 }),
    remote: past({ id: 'abc', context: 'https://github.com/me/app.git#main', startedAt: now - 48 * hour, finishedAt: now - 47 * hour }),
  };
  const found = (...filters: readonly string[]): readonly string[] => {
    const fits = parseBuildFilters(filters, now);
    return Object.entries(builds).flatMap(([name, build]) => (fits(build) ? [name] : []));
  };
  assert.deepEqual(found(), ['done', 'failed', 'running', 'remote']);
  assert.deepEqual(found('status=error'), ['failed']);
  assert.deepEqual(found('status!=completed'), ['failed', 'running']);
  assert.deepEqual(found('ref=fee12'), ['done', 'failed', 'running']);
  assert.deepEqual(found('ref!=abc'), ['done', 'failed', 'running']);
  assert.deepEqual(found('repository=me/app'), ['remote']);
  assert.deepEqual(found('duration>30s'), ['done', 'remote']);
  assert.deepEqual(found('duration<=5s'), ['failed']);
  assert.deepEqual(found('startedAt>24h'), ['done', 'failed', 'running']);
  assert.deepEqual(found('startedAt<24h'), ['remote']);
  assert.deepEqual(found('completedAt>=2026-01-31T08:00:40Z'), ['done']);
  assert.deepEqual(found('status=completed', 'duration>30m'), ['remote']);
});

test('a filter of past builds that means nothing is an error that says what would', () => {
  const faults = ['', 'status', 'status=success', 'status>error', 'name=x', 'duration=30s', 'duration>soon', 'startedAt>yesterday', '=x'];
  for (const text of faults) assert.throws(() => parseBuildFilters([text], now), { code: 'engine/bad-filter' }, text);
});

test('a project is the working tree that a folder stands in, or the folder itself', () => {
  const folder = mkdtempSync(join(tmpdir(), 'jettison-test-'));
  try {
    mkdirSync(join(folder, 'tree/.git'), { recursive: true });
    mkdirSync(join(folder, 'tree/deep/er'), { recursive: true });
    const within = isOfProject(join(folder, 'tree/deep/er'));
    assert.deepEqual(
      ['tree', 'tree/deep', 'tree/other', 'treetop', '.'].map((name) => within(past({ context: join(folder, name) }))),
      [true, true, true, false, false],
    );
    assert.equal(isOfProject(folder)(past({ context: join(folder, 'tree') })), true);
    assert.equal(isOfProject(folder)(past({ context: 'https://github.com/me/app.git' })), false);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
