import { test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { isCode } from '#ground/base/errors.ts';
import { familiarReference, nameOf, parseReference, printReference, withDefaultTag } from './reference.ts';
import { randomRuns } from '#test/kit/random.ts';

const hex = 'ab'.repeat(32);

test('names are completed as docker completes them', () => {
  const cases: readonly (readonly [string, string, string])[] = [
    ['busybox', 'docker.io/library/busybox:latest', 'busybox:latest'],
    ['busybox:1.36', 'docker.io/library/busybox:1.36', 'busybox:1.36'],
    ['index.docker.io/busybox', 'docker.io/library/busybox:latest', 'busybox:latest'],
    ['owner/app', 'docker.io/owner/app:latest', 'owner/app:latest'],
    ['localhost/app', 'localhost/app:latest', 'localhost/app:latest'],
    ['localhost:5000/app', 'localhost:5000/app:latest', 'localhost:5000/app:latest'],
    ['127.0.0.1:5000/a/b/c:x', '127.0.0.1:5000/a/b/c:x', '127.0.0.1:5000/a/b/c:x'],
    ['[::1]:5000/app:x', '[::1]:5000/app:x', '[::1]:5000/app:x'],
    ['localhost:5000', 'docker.io/library/localhost:5000', 'localhost:5000'],
    ['Host/app', 'Host/app:latest', 'Host/app:latest'],
    [`busybox@sha256:${hex}`, `docker.io/library/busybox@sha256:${hex}`, `busybox@sha256:${hex}`],
    [`ghcr.io/a/b:t@sha256:${hex}`, `ghcr.io/a/b:t@sha256:${hex}`, `ghcr.io/a/b:t@sha256:${hex}`],
    ['a__b-c.d---e', 'docker.io/library/a__b-c.d---e:latest', 'a__b-c.d---e:latest'],
  ];
  for (const [typed, full, short] of cases) {
    const reference = withDefaultTag(parseReference(typed));
    assert.equal(printReference(reference), full);
    assert.equal(familiarReference(reference), short);
  }
});

test('bad names are refused in the words that people look for', () => {
  const bad = [
    '',
    ':x',
    'UPPER//bad::ref',
    'a..b',
    'a/-b',
    'a_/b',
    'a:',
    'a@',
    'a@sha256:12',
    `a@md5:${hex}`,
    'a b',
    'a\nb',
    '../../x',
    '--help',
    '/a',
    'a/',
  ];
  for (const text of [...bad, hex, `a:${'x'.repeat(129)}`, `${'a/'.repeat(140)}b`, 'x'.repeat(100_000), '[::1/a', 'http://a/b']) {
    assert.throws(
      () => parseReference(text),
      (error) => isCode(error, 'oci/invalid-reference') && /invalid (reference format|repository name)/u.test(error.message),
      text.slice(0, 60),
    );
  }
  assert.throws(
    () => parseReference('MyApp:1'),
    (error) =>
      isCode(error, 'oci/invalid-reference') && error.message.includes('must be lowercase') && error.hint?.includes('"myapp:1"') === true,
  );
  for (const text of ['scratch', 'docker.io/library/scratch', 'scratch:latest']) {
    assert.throws(
      () => parseReference(text),
      (error) => isCode(error, 'oci/reserved-name'),
    );
  }
});

test('what is printed parses to the same reference', () => {
  const piece = fc.stringMatching(/^[a-z0-9]{1,6}(?:[._-][a-z0-9]{1,4})?$/u);
  const registry = fc.constantFrom('', 'localhost/', 'localhost:5000/', 'ghcr.io/', '[fe80::1]:1/', 'docker.io/');
  const end = fc.constantFrom('', ':v1', `@sha256:${hex}`, `:a@sha256:${hex}`);
  fc.assert(
    fc.property(registry, fc.array(piece, { minLength: 1, maxLength: 3 }), end, (host, path, tail) => {
      const reference = withDefaultTag(parseReference(`${host}${path.join('/')}${tail}`));
      assert.deepEqual(parseReference(printReference(reference)), reference);
      assert.deepEqual(parseReference(familiarReference(reference)), reference);
      assert.ok(printReference(reference).startsWith(nameOf(reference)));
    }),
    randomRuns(),
  );
});
