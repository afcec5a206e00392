import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gitOp, parseGitAddress } from './git-address.ts';

const blank = { ref: '', subfolder: '', checksum: '', keepGitFolder: undefined, submodules: undefined, times: 'commit' };

test('what is a Git address, and what it says', () => {
  const cases: Readonly<Record<string, object | undefined>> = {
    'https://example.com/': undefined,
    'https://example.com/foo': undefined,
    'https://example.com/foo.git': { remote: 'https://example.com/foo.git' },
    'https://example.com/foo.git#deadbeef': { remote: 'https://example.com/foo.git', ref: 'deadbeef' },
    'https://example.com/foo.git#release/1.2': { remote: 'https://example.com/foo.git', ref: 'release/1.2' },
    'https://example.com/foo.git/': undefined,
    'https://example.com/foo.git.bar': undefined,
    'git://example.com/foo': { remote: 'git://example.com/foo' },
    'ssh://git@example.com:22/foo': { remote: 'ssh://git@example.com:22/foo' },
    'custom.xyz/moby/buildkit.git': undefined,
    'https://foo:bar@github.com/moby/buildkit.git': { remote: 'https://foo:bar@github.com/moby/buildkit.git' },
    'git@github.com:moby/buildkit': { remote: 'git@github.com:moby/buildkit' },
    'git@github.com:moby/buildkit.git?tag=v1#:d': { remote: 'git@github.com:moby/buildkit.git', ref: 'refs/tags/v1', subfolder: 'd' },
    'https://h/foo.git#baz/qux:quux/quuz': { remote: 'https://h/foo.git', ref: 'baz/qux', subfolder: 'quux/quuz' },
    'https://h/d.git#:/../a/./b/': { remote: 'https://h/d.git', subfolder: 'a/b' },
    'http://h/docker.git:#branch': undefined,
    './.git': undefined,
    'a:b': undefined,
    'https://h/d.git?ref=v1.0.0&subdir=/sub%20dir': { remote: 'https://h/d.git', ref: 'v1.0.0', subfolder: 'sub dir' },
    'https://h/d.git?branch=b&keep-git-dir&submodules=false&mtime=checkout': {
      remote: 'https://h/d.git',
      ref: 'refs/heads/b',
      keepGitFolder: true,
      submodules: false,
      times: 'checkout',
    },
    'https://h/d.git?commit=ABCDEF': { remote: 'https://h/d.git', ref: 'abcdef', checksum: 'abcdef' },
    'https://h/d.git?checksum=ab#main': { remote: 'https://h/d.git', ref: 'main', checksum: 'ab' },
    'github.com/moby/buildkit': undefined,
  };
  for (const [text, expected] of Object.entries(cases))
    assert.deepEqual(parseGitAddress(text, { isContext: false }), expected && { ...blank, ...expected }, text);
  assert.equal(parseGitAddress('github.com/moby/buildkit#v1', { isContext: true })?.remote, 'https://github.com/moby/buildkit');
});

test('addresses that could be options, name nothing, or contradict themselves are refused', () => {
  const refused = [
    'https://h/d.git#--upload-pack=x',
    'https://h/d.git#-x',
    'https://h/d.git#a..b',
    'https://h/d.git#a b',
    'https://h/d.git#refs/*',
    'https://h/d.git#HEAD^{tree}',
    'https://h/d.git#a%0ab',
    'https://h/d.git#%ff',
    'ssh://-oProxyCommand=x/d',
    'git@-oProxyCommand:d',
    'git@h:-d',
    'git@h:',
    'git://-h/d',
    'https://h/d.git?tag=a&branch=b',
    'https://h/d.git?ref=a#b',
    'https://h/d.git?ref=a&ref=a',
    'https://h/d.git?subdir=a#:b',
    'https://h/d.git?tag=',
    'https://h/d.git?depth=1',
    'https://h/d.git?submodules=perhaps',
    'https://h/d.git?mtime=now',
    'https://h/d.git?checksum=xyz',
  ];
  for (const text of refused) assert.throws(() => parseGitAddress(text, { isContext: false }), { code: 'frontend/bad-git-address' }, text);
});

test('the address wins over what is given beside it; submodules come along', () => {
  const address = parseGitAddress('https://h/d.git?keep-git-dir=0', { isContext: false });
  assert.ok(address);
  const op = gitOp(address, { keepGitFolder: true, checksum: 'ab' });
  assert.deepEqual([op.keepGitFolder, op.submodules, op.checksum], [false, true, 'ab']);
});
