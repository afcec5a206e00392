import { test } from 'node:test';
import assert from 'node:assert/strict';
import { isCode } from '#ground/base/errors.ts';
import { parseDigest } from '#ground/base/digest.ts';
import { checkLogging, logKeepingOf } from './logging.ts';

const imageId = parseDigest(`sha256:${'ab'.repeat(32)}`);
const container = {
  id: '0123456789abcdef'.repeat(4),
  name: 'web',
  spec: { labels: { tier: 'front', 'com.x': 'y', other: '1' }, environment: ['A=1', 'BB=2=3', 'C'], image: 'app:v1', imageId },
};

function sizes(driver: string, options: Readonly<Record<string, string>>) {
  checkLogging({ driver, options });
  const keeping = logKeepingOf({ driver, options }, container);
  return keeping && [keeping.maxSize, keeping.maxFiles];
}

test('sizes as each driver reads them, and what it keeps where nothing is said', () => {
  assert.deepEqual(sizes('json-file', {}), [undefined, 1]);
  assert.deepEqual(sizes('json-file', { 'max-size': '10k', 'max-file': '3', compress: 'false', mode: 'blocking' }), [10_000, 3]);
  assert.deepEqual(sizes('json-file', { 'max-size': '1.5m' }), [1_500_000, 1]);
  assert.deepEqual(sizes('local', {}), [20 << 20, 5]);
  assert.deepEqual(sizes('local', { 'max-size': '10k' }), [10_240, 5]);
  assert.equal(sizes('none', {}), undefined);
});

test('attributes: labels and variables by name and by pattern, and the tag', () => {
  const options = { labels: 'tier,absent', 'labels-regex': '^com\\.', env: 'A,BB', tag: '{{.Name}}/{{ .ID }} {{.ImageName}} {{.ImageID}}' };
  checkLogging({ driver: 'json-file', options });
  assert.deepEqual(logKeepingOf({ driver: 'json-file', options }, container)?.attributes, {
    tier: 'front',
    'com.x': 'y',
    A: '1',
    BB: '2=3',
    tag: 'web/0123456789ab app:v1 abababababab',
  });
});

test('what is refused, by name', () => {
  const cases: readonly (readonly [string, Readonly<Record<string, string>>, string, RegExp])[] = [
    ['journald', {}, 'container/log-driver-not-built', /"journald"/u],
    ['nosuch', {}, 'container/no-log-driver', /no log driver named 'nosuch' is registered/u],
    ['none', { 'max-size': '1m' }, 'container/bad-log-option', /invalid logging opts for driver none/u],
    ['json-file', { nosuch: '1' }, 'container/bad-log-option', /unknown log opt 'nosuch' for json-file log driver/u],
    ['local', { tag: 'x' }, 'container/bad-log-option', /unknown log opt 'tag' for local log driver/u],
    ['json-file', { 'max-size': '0' }, 'container/bad-log-option', /max-size must be a positive number/u],
    ['json-file', { 'max-size': '-1' }, 'container/bad-log-option', /invalid size: '-1'/u],
    ['json-file', { 'max-file': '0' }, 'container/bad-log-option', /max-file cannot be less than 1/u],
    ['json-file', { 'max-file': 'x' }, 'container/bad-log-option', /max-file/u],
    ['json-file', { tag: '{{.Nosuch}}' }, 'container/bad-log-option', /\.Nosuch/u],
    ['json-file', { tag: '{{.Name' }, 'container/bad-log-option', /log tag/u],
    ['json-file', { 'env-regex': '(' }, 'container/bad-log-option', /error parsing regexp/u],
    ['json-file', { compress: 'true' }, 'container/log-option-not-built', /compress=true/u],
    ['json-file', { mode: 'non-blocking' }, 'container/log-option-not-built', /mode=non-blocking/u],
  ];
  for (const [driver, options, code, words] of cases) {
    assert.throws(
      () => checkLogging({ driver, options }),
      (error) => isCode(error, code) && words.test(error.message),
      `${driver} ${JSON.stringify(options)}`,
    );
  }
});
