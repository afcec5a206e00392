import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rules } from './lint.ts';
import { pageOf } from './rules/rule.ts';
import { listTargets } from './targets.ts';

const platform = { os: 'linux', architecture: 'amd64' };
const options = {
  file: 'Dockerfile',
  target: undefined,
  buildArgs: new Map<string, string>(),
  labels: new Map<string, string>(),
  platform,
  buildPlatform: platform,
  noCache: false,
  noCacheStages: [],
  network: 'default',
  extraHosts: [],
} as const;

test('targets have the description above them and the name of their base', () => {
  const text = 'ARG V=1\n# words\n# Build makes it\nFROM gcc:$V AS Build\n# other\nFROM build\nFROM scratch AS end\n';
  assert.deepEqual(
    listTargets(text, options).map(({ name, isDefault, description, base }) => [name, isDefault, description, base]),
    [
      ['build', false, 'makes it', 'gcc:1'],
      [undefined, false, undefined, 'build'],
      ['end', true, undefined, 'scratch'],
    ],
  );
  assert.throws(() => listTargets('FROM a\nUSR x', options), { code: 'dockerfile/syntax' });
});

test('every rule has a page named after it', () => {
  const pages = new Map(rules.map((rule) => [rule.name, pageOf(rule).split('/').at(-2)]));
  assert.equal(pages.get('JSONArgsRecommended'), 'json-args-recommended');
  assert.equal(pages.get('SecretsUsedInArgOrEnv'), 'secrets-used-in-arg-or-env');
  assert.equal(pages.get('UndefinedVar'), 'undefined-var');
});
