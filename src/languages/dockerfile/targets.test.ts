import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rules } from './lint.ts';
import { pageOf } from './rules/rule.ts';
import { listTargets } from './targets.ts';

test('targets have the description above them and the name of their base', () => {
  const text =
    'ARG V=1\n# words\n# Build makes it\nFROM --platform=$BUILDPLATFORM gcc:$V AS Build\n# other\nFROM build\nFROM scratch AS end\n';
  assert.deepEqual(
    listTargets(text, 'Dockerfile').map(({ name, isDefault, description, base, platform }) => [
      name,
      isDefault,
      description,
      base,
      platform,
    ]),
    [
      ['build', false, 'makes it', 'gcc:$V', '$BUILDPLATFORM'],
      [undefined, false, undefined, 'build', undefined],
      ['end', true, undefined, 'scratch', undefined],
    ],
  );
  assert.throws(() => listTargets('FROM a\nUSR x', 'Dockerfile'), { code: 'dockerfile/syntax' });
});

test('every rule of BuildKit has a page named after it; our own have none', () => {
  const pages = new Map(rules.map((rule) => [rule.name, pageOf(rule)?.split('/').at(-2)]));
  assert.equal(pages.get('JSONArgsRecommended'), 'json-args-recommended');
  assert.equal(pages.get('SecretsUsedInArgOrEnv'), 'secrets-used-in-arg-or-env');
  assert.equal(pages.get('UndefinedVar'), 'undefined-var');
  assert.equal(pages.get('HeredocIgnoresFailures'), undefined);
});
