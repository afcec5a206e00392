import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isCode } from '#ground/base/errors.ts';
import type { SpaceItem } from './space/account.ts';
import { matchesCacheFilters, matchesLabels, parseCacheFilters, parseDuration, parseLabelFilter, parseMoment } from './space-filters.ts';

const now = 1_800_000_000_000;
const hour = 3_600_000;
const item = (more: Partial<SpaceItem>): SpaceItem => ({
  kind: 'snapshot',
  id: '4n93jz',
  type: 'regular',
  description: 'RUN make',
  parent: '4n93jy',
  also: [],
  bytes: 1,
  createdAt: 0,
  lastUsedAt: now - 5 * hour,
  uses: 1,
  holder: undefined,
  garbage: false,
  cost: 1,
  inputs: [],
  ...more,
});

test('filters of the build cache', () => {
  const mount = item({ kind: 'cache-mount', type: 'exec.cachemount', id: 'ab-0', parent: undefined, holder: 'build', lastUsedAt: now });
  const found = (...texts: readonly string[]): readonly boolean[] =>
    [item({}), item({ holder: 'image' }), mount].map(matchesCacheFilters(parseCacheFilters(texts), now));
  assert.deepEqual(found(), [true, true, true]);
  assert.deepEqual(found('until=4h'), [true, true, false]);
  assert.deepEqual(found('until=5h1s'), [false, false, false]);
  assert.deepEqual(found('type=regular'), [true, true, false]);
  assert.deepEqual(found('type!=regular'), [false, false, true]);
  assert.deepEqual(found('id=4n93'), [true, true, false]);
  assert.deepEqual(found('description~=^RUN', 'inuse'), [false, true, true]);
  assert.deepEqual(found('shared'), [false, true, false]);
  assert.deepEqual(found('private', 'immutable'), [true, false, false]);
  assert.deepEqual(found('parents=4n93jy'), [true, true, false]);
  for (const text of ['colour=red', 'until=yesterday', '', 'id~=(', 'type', 'constructor=x'].filter((one) => one !== 'type'))
    assert.throws(
      () => parseCacheFilters([text]),
      (error) => isCode(error, 'engine/bad-filter'),
      text,
    );
});

test('moments, durations and labels as docker has them', () => {
  assert.deepEqual(['24h', '1h30m', '1.5s', '2d', ''].map(parseDuration), [24 * hour, 1.5 * hour, 1500, undefined, undefined]);
  assert.equal(parseMoment('until', '2h', now), now - 2 * hour);
  assert.equal(parseMoment('until', '2026-01-31T12:00:00Z', now), Date.UTC(2026, 0, 31, 12));
  assert.equal(parseMoment('until', '1700000000', now), 1_700_000_000_000);
  const labels = { team: 'blue' };
  const matches = (...texts: readonly string[]): boolean =>
    matchesLabels(
      labels,
      texts.flatMap((text) => parseLabelFilter(text) ?? []),
    );
  assert.deepEqual(
    [matches('label=team'), matches('label=team=blue'), matches('label=team=red'), matches('label!=team'), matches('label!=team=red')],
    [true, true, false, false, true],
  );
});
