import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readMounts } from './mount-options.ts';

const none = { mounts: [], tmpfs: [], volumes: [], volumeDriver: undefined, volumesFrom: [] };
const volume = (word: string) => readMounts({ ...none, volumes: [word] }, '/here').mounts[0];
const mount = (word: string) => readMounts({ ...none, mounts: [word] }, '/here').mounts[0];
const tmpfs = (word: string) => readMounts({ ...none, tmpfs: [word] }, '/here').mounts[0];
const bind = { kind: 'bind', readOnly: false, mode: '', makesSource: true, isRecursive: true, isShallow: false };
const named = { kind: 'volume', readOnly: false, mode: '', fills: true, labels: {}, options: {} };

test('-v: a path is a bind, a name a volume, a target alone an anonymous one', () => {
  assert.deepEqual(volume('/a:/b'), { ...bind, source: '/a', target: '/b' });
  assert.deepEqual(volume('./a:/b:ro,z'), { ...bind, source: '/here/a', target: '/b', readOnly: true, mode: 'ro,z' });
  assert.deepEqual(volume('name:/b:nocopy'), { ...named, name: 'name', target: '/b', mode: 'nocopy', fills: false });
  assert.deepEqual(volume('/b'), { ...named, name: undefined, target: '/b' });
});

test('-v: what docker refuses is refused', () => {
  for (const [word, why] of [
    ['', 'invalid empty volume spec'],
    ['a::/b', 'empty section between colons'],
    [':/b', 'empty section between colons'],
    ['/a:/b:ro:x', 'too many colons'],
    ['/a:ro', "invalid volume specification: '/a:ro'"],
    ['/a:/b:foo', 'invalid mode: foo'],
    ['/a:/b:ro,rw', 'invalid mode: ro,rw'],
    ['/a:/b:nocopy', 'invalid mode: nocopy'],
  ] as const) {
    assert.throws(() => volume(word), new RegExp(why), word);
  }
  assert.throws(() => volume('/a:/b:rshared'), /"rshared" mounts are not supported/);
});

test('--mount: the keys of each type', () => {
  assert.deepEqual(mount('type=bind,src=/a,dst=/b,readonly'), { ...bind, source: '/a', target: '/b', readOnly: true, makesSource: false });
  assert.deepEqual(mount('type=bind,source=./a,target=/b,bind-recursive=disabled,bind-propagation=rprivate'), {
    ...bind,
    source: '/here/a',
    target: '/b',
    makesSource: false,
    isRecursive: false,
  });
  assert.deepEqual(mount('src=v,dst=/b,volume-nocopy,volume-label=a=b,"volume-opt=o=size=1,uid=2",volume-subpath=x'), {
    ...named,
    name: 'v',
    target: '/b',
    mode: 'z',
    fills: false,
    labels: { a: 'b' },
    options: { o: 'size=1,uid=2' },
    subpath: 'x',
  });
  assert.deepEqual(mount('type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=700'), {
    kind: 'tmpfs',
    target: '/t',
    readOnly: false,
    size: 1 << 20,
    permissions: 0o700,
    noExecute: true,
    allowsSetuid: false,
    more: [],
  });
});

test('--mount: what docker refuses is refused, in its words', () => {
  for (const [word, why] of [
    ['', 'value is empty'],
    ['type=bind,src=/a', 'target is required'],
    ['type=,dst=/a', 'type is required'],
    ['dst=/a,foo', "invalid field 'foo' must be a key=value pair"],
    ['dst=/a,foo=1', "unexpected key 'foo' in 'foo=1'"],
    ['dst=/a,ro=maybe', 'invalid value for ro: maybe'],
    ['type=bind,src=/a,dst=/b,volume-nocopy', "cannot mix 'volume-\\*' options with mount type 'bind'"],
    ['dst=/b,bind-propagation=private', "cannot mix 'bind-\\*' options with mount type 'volume'"],
    ['type=tmpfs,src=/a,dst=/b', 'Source must not be specified'],
    ['type=bind,dst=/b', 'Source must not be empty'],
    ['type=bind,src=a,dst=/b', "invalid mount path: 'a' mount path must be absolute"],
    ['type=foo,dst=/b', 'mount type unknown'],
    ['dst=/b,readonly', 'must not set ReadOnly mode when using anonymous volumes'],
    ['src=v,dst=/b,volume-subpath=../x', 'subpath must be a relative path'],
  ] as const) {
    assert.throws(() => mount(word), new RegExp(why), word);
  }
});

test('--tmpfs: only options that are known get to the kernel', () => {
  assert.deepEqual(tmpfs('/t:rw,exec,size=50%,uid=7,mode=755'), {
    kind: 'tmpfs',
    target: '/t',
    readOnly: false,
    size: '50%',
    permissions: 0o755,
    noExecute: false,
    allowsSetuid: false,
    more: ['uid=7'],
  });
  for (const word of ['/t:dev', '/t:size=1m\tsource=/x', '/t:bind', '/t:uid=-1', '/t:mpol=bind:0'])
    assert.throws(() => tmpfs(word), /invalid tmpfs option/, word);
});

test('--volumes-from', () => {
  assert.deepEqual(readMounts({ ...none, volumesFrom: ['a', 'b:ro'] }, '/').volumesFrom, [
    { container: 'a', readOnly: false },
    { container: 'b', readOnly: true },
  ]);
  assert.throws(() => readMounts({ ...none, volumesFrom: ['b:nocopy'] }, '/'), /invalid mode: nocopy/);
});
