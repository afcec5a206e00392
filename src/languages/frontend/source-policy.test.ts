import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDigest } from '#ground/base/digest-form.ts';
import { admitFolder, admitGit, admitHttp, admitImage, type Admit } from './admit.ts';
import { gitOp, parseGitAddress } from './git-address.ts';
import { readSourcePolicy } from './source-policy.ts';

const busybox = 'docker-image://docker.io/library/busybox';

function policy(...rules: readonly object[]): Admit {
  return readSourcePolicy(new TextEncoder().encode(JSON.stringify({ rules })), 'policy.json');
}

function git(text: string) {
  const address = parseGitAddress(text, { isContext: false });
  assert.ok(address);
  return gitOp(address);
}

test('of rules that allow and deny the last one that matches counts; the error says which', () => {
  const admit = policy(
    { action: 'DENY', selector: { identifier: '*' } },
    { action: 'ALLOW', selector: { identifier: `${busybox}:*` } },
    { action: 'DENY', selector: { identifier: `${busybox}:1.35` } },
  );
  assert.equal(admitImage(admit, 'busybox'), 'docker.io/library/busybox:latest');
  assert.throws(() => admitImage(admit, 'busybox:1.35'), {
    code: 'frontend/source-denied',
    message: `source "${busybox}:1.35" denied by policy`,
    hint: 'Rule 3 of "policy.json" denies it, and no later rule allows it',
  });
  assert.throws(() => admitFolder(admit, 'local://context'), { code: 'frontend/source-denied' });
  assert.doesNotThrow(() => admitFolder(policy(), 'local://context'));
});

function finds(selector: object, image: string): boolean {
  try {
    admitImage(policy({ action: 'DENY', selector }), image);
    return false;
  } catch {
    return true;
  }
}

test('selectors: stars, letter by letter, expressions; words or numbers; both spellings', () => {
  assert.ok(finds({ identifier: `${busybox}:1.*` }, 'busybox:1.35'));
  assert.ok(!finds({ identifier: `${busybox}:1.*` }, 'busybox:1x35'));
  assert.ok(!finds({ identifier: `${busybox}:1.*`, matchType: 'EXACT' }, 'busybox:1.35'));
  assert.ok(finds({ identifier: `${busybox}:1.35`, matchType: 1 }, 'busybox:1.35'));
  assert.ok(finds({ identifier: String.raw`^docker-image://docker\.io\/library\/busy\-?box:\d`, match_type: 'REGEX' }, 'busybox:1.35'));
  assert.ok(finds({ identifier: '(?i)BUSYBOX:(?P<tag>.+)$', matchType: 2 }, 'busybox:1.35'));
  assert.ok(!finds({ identifier: 'busybox:$', matchType: 'REGEX' }, 'busybox:1.35'));
});

test('a source is converted: stars and groups go into the new name, and all rules look at it again', () => {
  const admit = policy(
    {
      action: 'CONVERT',
      selector: { identifier: `${busybox}:*` },
      updates: { identifier: 'docker-image://mirror.test/busybox:${1}-musl' },
    },
    {
      action: 'CONVERT',
      selector: { identifier: '^docker-image://docker.io/library/(?P<name>[a-z]+):(.*)$', matchType: 'REGEX' },
      updates: { identifier: 'docker-image://mirror.test/${name}:$2' },
    },
    { action: 'DENY', selector: { identifier: '*:bad' } },
  );
  assert.equal(admitImage(admit, 'busybox:1.35'), 'mirror.test/busybox:1.35-musl');
  assert.equal(admitImage(admit, 'alpine'), 'mirror.test/alpine:latest');
  assert.throws(() => admitImage(admit, 'alpine:bad'), { code: 'frontend/source-denied', message: /mirror\.test\/alpine:bad/ });
  const exact = policy({
    action: 'CONVERT',
    selector: { identifier: `${busybox}:1`, matchType: 'EXACT' },
    updates: { identifier: `${busybox}:2` },
  });
  assert.equal(admitImage(exact, 'busybox:1'), 'docker.io/library/busybox:2');
  const circle = policy(
    { action: 'CONVERT', selector: { identifier: `${busybox}:1` }, updates: { identifier: `${busybox}:2` } },
    { action: 'CONVERT', selector: { identifier: `${busybox}:2` }, updates: { identifier: `${busybox}:1` } },
  );
  assert.throws(() => admitImage(circle, 'busybox:1'), { code: 'frontend/bad-conversion', message: /too many mutations/ });
  const other = policy({ action: 'CONVERT', selector: { identifier: `${busybox}:1` }, updates: { identifier: 'https://host.test/x' } });
  assert.throws(() => admitImage(other, 'busybox:1'), { code: 'frontend/bad-conversion', message: /another kind/ });
});

test('files from the web: another address, a checksum; conditions on what the Dockerfile says', () => {
  const checksum = parseDigest(`sha256:${'0'.repeat(64)}`);
  const op = { kind: 'source-http', url: 'https://host.test/v1/file', name: 'file', checksum: null } as const;
  const admit = policy({
    action: 'CONVERT',
    selector: { identifier: 'https://host.test/*' },
    updates: { identifier: 'https://mirror.test/$1', attrs: { 'http.checksum': checksum } },
  });
  assert.deepEqual(admitHttp(admit, op), { ...op, url: 'https://mirror.test/v1/file', checksum });
  const needsChecksum = policy({
    action: 'DENY',
    selector: { identifier: 'https://*', constraints: [{ key: 'http.checksum', value: '^sha256:', condition: 'MATCHES' }] },
  });
  assert.throws(() => admitHttp(needsChecksum, { ...op, checksum }), { code: 'frontend/source-denied' });
  assert.deepEqual(admitHttp(needsChecksum, op), op);
});

test('repositories: another place, another ref, a commit', () => {
  const op = git('https://host.test/me/app.git#main:folder');
  const seen: string[] = [];
  admitGit((source) => (seen.push(source.identifier, JSON.stringify(source.attributes)), source), op);
  assert.deepEqual(seen, ['git://host.test/me/app.git#main:folder', '{"git.fullurl":"https://host.test/me/app.git"}']);
  admitGit((source) => (seen.push(source.identifier), source), git('git@host.test:me/app.git'));
  assert.equal(seen.at(-1), 'git://host.test/me/app.git');
  const pinned = policy({
    action: 'CONVERT',
    selector: { identifier: 'git://host.test/me/app.git#main:*' },
    updates: { identifier: 'git://host.test/me/app.git#v1:$1', attrs: { 'git.checksum': 'abc123' } },
  });
  assert.deepEqual(admitGit(pinned, op), { ...op, ref: 'v1', checksum: 'abc123' });
  const moved = policy({
    action: 'CONVERT',
    selector: { identifier: 'git://host.test/*' },
    updates: { identifier: 'git://mirror.test/$1' },
  });
  assert.equal(admitGit(moved, op).remote, 'https://mirror.test/me/app.git');
  assert.deepEqual(admitGit(policy(), op), op);
});

test('a policy that cannot be used is refused with its rule', () => {
  for (const [rules, message] of [
    [[{ action: 'DENI', selector: { identifier: '*' } }], /action/],
    [[{ action: 'DENY' }], /selector/],
    [[{ selector: { identifier: '*', constraint: [] } }], /constraint/],
    [[{ action: 'DENY', selector: { identifier: '**' } }], /rule 1 of "policy\.json": invalid wildcard/],
    [[{ selector: { identifier: '*' } }, { selector: { identifier: '(', matchType: 'REGEX' } }], /rule 2 of .*cannot read the expression/],
    [[{ selector: { identifier: String.raw`x\z`, matchType: 'REGEX' } }], /cannot read the expression/],
    [[{ action: 'CONVERT', selector: { identifier: 'x' } }], /missing destination/],
    [[{ selector: { identifier: 'x', matchType: 9 } }], /matchType/],
  ] as const) {
    assert.throws(() => policy(...rules), { code: 'frontend/bad-policy', message }, JSON.stringify(rules));
  }
  assert.throws(() => readSourcePolicy(new TextEncoder().encode('{"version":2,"rules":[]}'), 'p'), { code: 'frontend/bad-policy' });
  assert.throws(() => readSourcePolicy(new TextEncoder().encode('{'), 'p'), { code: 'frontend/bad-policy' });
  const strange = policy({ action: 'CONVERT', selector: { identifier: '*' }, updates: { attrs: { 'image.layerlimit': '1' } } });
  assert.throws(() => admitImage(strange, 'busybox'), { code: 'frontend/bad-conversion', message: /image\.layerlimit/ });
});
