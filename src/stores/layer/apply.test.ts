import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempDisposableSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { constants, gzipSync, zstdCompressSync } from 'node:zlib';
import { cancelled } from '#ground/base/abort.ts';
import { asByteString, fromText } from '#ground/base/byte-string.ts';
import { digestOf } from '#ground/base/digest.ts';
import { isCode } from '#ground/base/errors.ts';
import { AT_FDCWD, fileTypes, makeNodeAt } from '#ground/linux/syscall.ts';
import { getAttribute, setAttribute } from '#ground/linux/attributes.ts';
import type { TarEntry } from '#formats/tar/entry.ts';
import { encodeHeader, endOfArchive, paddingOf } from '#formats/tar/write.ts';
import { applyLayer, type ApplyLayerRequest } from './apply.ts';
import { layerIdentity, writeLayer } from './create.ts';
import { endThreads } from './threads.ts';

const never = new AbortController().signal;
const quiet = (): void => undefined;
const root = { skip: process.getuid?.() !== 0 };
const mediaType = 'application/vnd.oci.image.layer.v1.tar+gzip';

type Room = Disposable & {
  /** The folder that holds all others, and a canary. */
  readonly path: string;
  readonly upper: string;
  readonly base: string;
  /** Unpacks entries over `base`. */
  apply(entries: readonly Short[], request?: Partial<ApplyLayerRequest>): Promise<void>;
};
/** `[name, kind, content or link]`. */
type Short = readonly [name: string, kind?: TarEntry['kind'], content?: string, more?: Partial<TarEntry>];

function room(): Room {
  const made = mkdtempDisposableSync(join(tmpdir(), 'jettison-apply-'));
  const { path } = made;
  const [upper, base] = [join(path, 'upper'), join(path, 'base')];
  mkdirSync(upper);
  mkdirSync(base);
  mkdirSync(join(path, 'outside'), { mode: 0o700 });
  writeFileSync(join(path, 'outside/canary'), 'alive');
  return {
    path,
    upper,
    base,
    async apply(entries, request = {}) {
      const tar = archive(entries);
      const file = join(path, 'layer');
      writeFileSync(file, tar);
      await applyLayer({ file, mediaType, diffId: digestOf(tar), folder: upper, below: later([base]), ...request }, quiet, never);
    },
    [Symbol.dispose]: () => made.remove(),
  };
}

/** What lies below is not complete yet when the layer is begun. */
async function later(below: readonly string[]): Promise<readonly string[]> {
  await sleep(3);
  return below;
}

function archive(entries: readonly Short[]): Uint8Array {
  const parts = entries.flatMap(([name, kind = 'file', content = '', more = {}]) => {
    const bytes = kind === 'file' ? Buffer.from(content, 'latin1') : new Uint8Array(0);
    const entry: TarEntry = {
      name: asByteString(name),
      kind,
      mode: kind === 'folder' ? 0o755 : 0o644,
      uid: 0,
      gid: 0,
      size: bytes.length,
      mtime: 1_000_000_000n,
      linkName: asByteString(kind === 'symlink' || kind === 'hard-link' ? content : ''),
      device: kind.endsWith('device') ? { major: 1, minor: 3 } : undefined,
      xattrs: new Map(),
      ...more,
    };
    return [encodeHeader(entry), bytes, new Uint8Array(paddingOf(entry.size))];
  });
  return Buffer.concat([...parts, endOfArchive()]);
}

/** Every entry below a folder as `path kind`, whiteouts as `path whiteout`, opaque folders as `path opaque`. */
function shape(folder: string, prefix = ''): readonly string[] {
  return readdirSync(folder, { withFileTypes: true })
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((found) => {
      const path = join(folder, found.name);
      const name = `${prefix}${found.name}`;
      if (found.isDirectory()) return [`${name} ${isOpaque(path) ? 'opaque' : 'folder'}`, ...shape(path, `${name}/`)];
      if (found.isSymbolicLink()) return [`${name} -> ${readlinkSync(path)}`];
      if (found.isCharacterDevice()) return [`${name} ${lstatSync(path).rdev === 0 ? 'whiteout' : 'device'}`];
      return [`${name} ${found.isFile() ? readFileSync(path, 'utf8') : 'other'}`];
    });
}

function timeOf(path: string): bigint {
  return statSync(path, { bigint: true }).mtimeNs;
}

function isOpaque(path: string): boolean {
  return getAttribute(fromText(path), 'trusted.overlay.opaque')?.[0] === 0x79;
}

function whiteout(path: string): void {
  makeNodeAt(AT_FDCWD, fromText(path), { type: fileTypes.character, mode: 0 });
}

function put(folder: string, path: string, content = path): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), content);
}

/** The layer is refused with this code, the canary lives, and nothing appeared beside it. */
async function refused(entries: readonly Short[], code: string, prepare: (place: Room) => void = quiet): Promise<void> {
  using place = room();
  prepare(place);
  const before = [...shape(join(place.path, 'outside')), ...shape(place.base), lstatSync(join(place.path, 'outside')).mode];
  await assert.rejects(place.apply(entries), (error) => isCode(error, code) || assert.fail(`${code} expected: ${String(error)}`));
  assert.deepEqual([...shape(join(place.path, 'outside')), ...shape(place.base), lstatSync(join(place.path, 'outside')).mode], before);
}

test('a folder with everything in it comes back the same, through every format', root, async () => {
  using place = room();
  const source = join(place.path, 'source');
  for (const path of ['a/deep/er', 'opaque', 'times']) mkdirSync(join(source, path), { recursive: true });
  put(source, 'a/f', 'content'.repeat(1000));
  put(source, 'a/deep/er/empty', '');
  linkSync(join(source, 'a/f'), join(source, 'a/deep/hard'));
  symlinkSync('../../etc', join(source, 'a/link'));
  writeFileSync(Buffer.from(`${source}/a/\xff\xfe`, 'latin1'), 'x');
  put(source, `a/${'n'.repeat(250)}`);
  chownSync(join(source, 'a/f'), 70_000, 3_000_000);
  chmodSync(join(source, 'a/f'), 0o6755);
  setAttribute(fromText(join(source, 'a/f')), 'user.bytes', Buffer.from('\xff\0\x80', 'latin1'));
  setAttribute(fromText(join(source, 'a/f')), 'security.capability', Buffer.from('0100000200200000000000000000000000000000', 'hex'));
  setAttribute(fromText(join(source, 'opaque')), 'trusted.overlay.opaque', Buffer.from('y'));
  mkdirSync(join(source, 'dev'));
  makeNodeAt(AT_FDCWD, fromText(join(source, 'dev/null')), { type: fileTypes.character, mode: 0o666, major: 1, minor: 3 });
  makeNodeAt(AT_FDCWD, fromText(join(source, 'a/pipe')), { type: fileTypes.fifo, mode: 0o644 });
  whiteout(join(source, 'a/gone'));
  chmodSync(join(source, 'times'), 0o1777);
  put(source, 'times/new');
  utimesSync(join(source, 'times'), 5, 5);
  for (const path of ['opaque/x', 'a/gone']) put(place.base, path);
  const { diffId } = await layerIdentity({ folder: source }, never);
  for (const format of ['tar', 'gzip', 'zstd'] as const) {
    const folder = join(place.path, `out-${format}`);
    const file = join(place.path, format);
    mkdirSync(folder);
    await writeLayer({ folder: source, format, file }, quiet, never);
    await applyLayer({ file, mediaType, diffId, folder, below: [place.base] }, quiet, never);
    assert.equal((await layerIdentity({ folder }, never)).diffId, diffId);
  }
  const folder = join(place.path, 'out-tar');
  assert.equal(statSync(join(folder, 'a/f')).nlink, 2);
  assert.equal(statSync(join(folder, 'a/f')).mode & 0o7777, 0o6755);
});

test(
  'files, links and nodes get owner, mode, times to the nanosecond and attributes, but none of overlayfs or security modules',
  root,
  async () => {
    using place = room();
    const xattrs = new Map([
      ['user.a', Buffer.from('1')],
      ['trusted.overlay.redirect', Buffer.from('/etc')],
      ['trusted.overlay.opaque', Buffer.from('y')],
      ['user.overlay.opaque', Buffer.from('y')],
      ['security.selinux', Buffer.from('label')],
    ]);
    const more = { mode: 0o4711, uid: 5, gid: 6, xattrs };
    await place.apply([
      ['./', 'folder', '', { mode: 0o700, uid: 9 }],
      ['d', 'folder', '', { ...more, mtime: 5_000_000_007n }],
      ['d/f', 'file', 'text', more],
      ['d/l', 'symlink', 'f', { uid: 7, gid: 8 }],
    ]);
    assert.equal(statSync(place.upper).mode & 0o7777, 0o700);
    assert.equal(statSync(place.upper).uid, 9);
    for (const path of ['d', 'd/f']) {
      const stats = lstatSync(join(place.upper, path), { bigint: true });
      assert.deepEqual([stats.mode & 0o7777n, stats.uid, stats.gid], [0o4711n, 5n, 6n]);
      const held = [...xattrs.keys()].filter((name) => getAttribute(fromText(join(place.upper, path)), name) !== undefined);
      assert.deepEqual(held, ['user.a']);
    }
    assert.equal(
      lstatSync(join(place.upper, 'd'), { bigint: true }).mtimeNs,
      5_000_000_000n,
      'the writer of this test keeps whole seconds',
    );
    assert.equal(lstatSync(join(place.upper, 'd/l')).uid, 7);
  },
);

test('archives of GNU tar are unpacked as GNU tar does it', root, async () => {
  using place = room();
  const source = join(place.path, 'source');
  put(source, `long/${'l'.repeat(180)}/f`);
  put(source, 'x');
  linkSync(join(source, 'x'), join(source, 'y'));
  symlinkSync('s'.repeat(150), join(source, 'z'));
  setAttribute(fromText(join(source, 'x')), 'user.note', Buffer.from('\xfe\xff', 'latin1'));
  put(source, 'sparse', '');
  for (let at = 0; at < 20; at++) {
    truncateSync(join(source, 'sparse'), at * 100_000);
    writeFileSync(join(source, 'sparse'), 'data', { flag: 'a' });
  }
  truncateSync(join(source, 'sparse'), 3_000_000);
  for (const options of [
    '--format=gnu --sparse',
    '--format=posix --sparse --xattrs',
    '--format=posix --sparse --sparse-version=0.1',
    '--format=oldgnu -z',
  ]) {
    const file = join(place.path, 'layer');
    execFileSync('tar', [...options.split(' '), '--sort=name', '-C', source, '-cf', file, '.']);
    const tar = execFileSync('sh', ['-c', `zcat -f "${file}"`], { maxBuffer: 1 << 26 });
    const folder = join(place.path, `out${options}`);
    mkdirSync(folder);
    await applyLayer({ file, mediaType, diffId: digestOf(tar), folder, below: [] }, quiet, never);
    assert.deepEqual(shape(folder), shape(source), options);
    assert.equal(statSync(join(folder, 'x')).ino, statSync(join(folder, 'y')).ino);
    assert.equal(
      timeOf(join(folder, 'long')),
      options.includes('posix') ? timeOf(join(source, 'long')) : (timeOf(join(source, 'long')) / 1_000_000_000n) * 1_000_000_000n,
    );
    if (options.includes('xattrs')) assert.deepEqual(getAttribute(fromText(join(folder, 'x')), 'user.note'), new Uint8Array([0xfe, 0xff]));
    assert.ok(statSync(join(folder, 'sparse')).blocks * 512 < 2_000_000 || options.includes('-z'), 'holes stay holes');
  }
});

test('parent folders that only lower layers have are made as they are there', root, async () => {
  using place = room();
  mkdirSync(join(place.base, 'a/b'), { recursive: true });
  chmodSync(join(place.base, 'a'), 0o1751);
  chownSync(join(place.base, 'a'), 11, 12);
  setAttribute(fromText(join(place.base, 'a')), 'user.kept', Buffer.from('v'));
  utimesSync(join(place.base, 'a'), 77, 77);
  await place.apply([
    ['a/b/c/f', 'file', 'new'],
    ['/abs//./f', 'file', 'slash'],
  ]);
  const stats = statSync(join(place.upper, 'a'));
  assert.deepEqual([stats.mode & 0o7777, stats.uid, stats.gid, stats.mtimeMs], [0o1751, 11, 12, 77_000]);
  assert.equal(getAttribute(fromText(join(place.upper, 'a')), 'user.kept')?.length, 1);
  assert.equal(statSync(join(place.upper, 'a/b/c')).mode & 0o7777, 0o755);
  assert.deepEqual(shape(place.upper), ['a folder', 'a/b folder', 'a/b/c folder', 'a/b/c/f new', 'abs folder', 'abs/f slash']);
});

test('links of lower layers lead where they point, inside the root', root, async () => {
  using place = room();
  put(place.base, 'usr/lib/x');
  symlinkSync('usr/lib', join(place.base, 'lib'));
  symlinkSync(`${place.path}/outside`, join(place.base, 'absolute'));
  symlinkSync('../../../../usr/../lib', join(place.base, 'usr/up'));
  await place.apply([['lib/one', 'file', '1'], ['usr/up/two', 'file', '2'], ['absolute/three', 'file', '3'], ['lib/.wh.x']]);
  const inner = `${place.path.slice(1)}/outside`;
  assert.equal(readFileSync(join(place.upper, inner, 'three'), 'utf8'), '3');
  assert.deepEqual(
    shape(place.upper).filter((line) => line.startsWith('usr')),
    ['usr folder', 'usr/lib folder', 'usr/lib/one 1', 'usr/lib/two 2', 'usr/lib/x whiteout'],
  );
  assert.deepEqual(readdirSync(join(place.path, 'outside')), ['canary']);
});

test('a link of a lower layer that this layer replaces leads nowhere any more', root, async () => {
  using place = room();
  put(place.base, 'real/x');
  symlinkSync('real', join(place.base, 'link'));
  await place.apply([
    ['link/before', 'file', '1'],
    ['link', 'folder'],
    ['link/after', 'file', '2'],
  ]);
  assert.deepEqual(shape(place.upper), ['link folder', 'link/after 2', 'real folder', 'real/before 1']);
});

test('whiteouts: only of what is there, below links, of the same layer, before and after their names', root, async () => {
  using place = room();
  for (const path of ['a/x', 'a/y', 'b/x', 'c/x', 'd/sub/x', 'e/x']) put(place.base, path);
  await place.apply([
    ['a', 'folder'],
    ['a/.wh.x'],
    ['a/.wh.nothing'],
    ['nowhere/.wh.x'],
    ['.wh.b'],
    ['b', 'folder'],
    ['b/new', 'file', '1'],
    ['c', 'folder'],
    ['c/new', 'file', '2'],
    ['.wh.c'],
    ['d/sub/kept', 'file', '3'],
    ['d/.wh..wh..opq'],
    ['e', 'file', 'now a file'],
    ['e', 'folder'],
    ['.wh..wh.plnk/1.2', 'file', 'aufs'],
    ['.wh..wh.aufs'],
  ]);
  assert.deepEqual(shape(place.upper), [
    'a folder',
    'a/x whiteout',
    'b opaque',
    'b/new 1',
    'c opaque',
    'c/new 2',
    'd opaque',
    'd/sub folder',
    'd/sub/kept 3',
    'e opaque',
  ]);
});

test('nothing of the lower layers shows behind an opaque root or folder', root, async () => {
  using place = room();
  put(place.base, 'a/x');
  symlinkSync('a', join(place.base, 'l'));
  await place.apply([['.wh..wh..opq'], ['a/.wh.x'], ['l/f', 'file', '1']]);
  assert.ok(isOpaque(place.upper));
  assert.deepEqual(shape(place.upper), ['l folder', 'l/f 1']);
});

test('a later entry takes the place of an earlier one; folders over folders keep what they hold', root, async () => {
  using place = room();
  const kinds = ['file', 'folder', 'symlink', 'fifo', 'hard-link'] as const;
  const entries: Short[] = [['target', 'file', 't']];
  for (const first of kinds) {
    for (const second of kinds) {
      const name = `${first}-${second}`;
      entries.push([name, first, first === 'file' ? 'x' : 'target']);
      if (first === 'folder') entries.push([`${name}/sub/inner`, 'file', 'in']);
      entries.push([name, second, second === 'file' ? 'x' : 'target']);
    }
  }
  await place.apply(entries);
  const found = new Set(shape(place.upper));
  for (const first of kinds) {
    assert.ok(found.has(`${first}-file x`));
    assert.ok(found.has(`${first}-folder folder`));
    assert.ok(found.has(`${first}-symlink -> target`));
    assert.ok(found.has(`${first}-fifo other`));
    assert.ok(found.has(`${first}-hard-link t`));
  }
  assert.deepEqual(
    [...found].filter((line) => line.includes('inner')),
    ['folder-folder/sub/inner in'],
  );
});

test('hard links: to this layer, to a lower one, to a link itself, twice the same', root, async () => {
  using place = room();
  put(place.base, 'usr/below');
  symlinkSync('usr', join(place.base, 'u'));
  await place.apply([
    ['f', 'file', 'one'],
    ['f', 'hard-link', 'f'],
    ['l', 'symlink', '/etc/passwd'],
    ['l2', 'hard-link', './l'],
    ['g', 'hard-link', '/f'],
    ['b', 'hard-link', 'u/below'],
  ]);
  assert.deepEqual(shape(place.upper), ['b usr/below', 'f one', 'g one', 'l -> /etc/passwd', 'l2 -> /etc/passwd']);
  assert.equal(statSync(join(place.upper, 'b')).ino, statSync(join(place.base, 'usr/below')).ino);
});

test('hostile layer-dotdot: a name with .. in it', root, async () => {
  for (const name of ['../outside/x', 'a/../../outside/x', '/../x', '..', 'a/..'])
    await refused([[name, 'file', 'x']], 'layer/path-escape');
  await refused([['h', 'hard-link', '../outside/canary']], 'layer/path-escape');
});

test('hostile layer-symlink-absolute-write: a link and then a write through it', root, async () => {
  using place = room();
  const outside = join(place.path, 'outside');
  await refused(
    [
      ['x', 'symlink', '/etc'],
      ['x/evil', 'file', 'x'],
    ],
    'layer/through-own-link',
  );
  await refused(
    [
      ['x', 'symlink', outside],
      ['x/canary', 'file', 'dead'],
    ],
    'layer/through-own-link',
  );
  await refused(
    [
      ['x', 'symlink', '..'],
      ['x/outside/canary', 'file', 'dead'],
    ],
    'layer/through-own-link',
  );
  await refused(
    [
      ['x', 'symlink', '/proc/self/root'],
      ['x/tmp/evil', 'file', 'x'],
    ],
    'layer/through-own-link',
  );
  await refused(
    [
      ['x', 'symlink', '..'],
      ['x/outside', 'folder', '', { mode: 0o777 }],
    ],
    'layer/through-own-link',
  );
});

test('hostile layer-symlink-then-dir-mode, -then-file: an entry over a link changes the link, not its target', root, async () => {
  using place = room();
  const outside = join(place.path, 'outside');
  await place.apply([
    ['d', 'symlink', outside],
    ['d', 'folder', '', { mode: 0o777, uid: 5 }],
    ['f', 'symlink', join(outside, 'canary')],
    ['f', 'file', 'dead', { mode: 0o4777, uid: 5 }],
    ['g', 'symlink', join(outside, 'canary'), { uid: 5 }],
  ]);
  assert.deepEqual([statSync(outside).mode & 0o777, statSync(outside).uid], [0o700, 0]);
  assert.equal(readFileSync(join(outside, 'canary'), 'utf8'), 'alive');
  assert.equal(statSync(join(outside, 'canary')).uid, 0);
});

test('hostile layer-symlink-below: links of a lower layer to the outside of the root', root, async () => {
  for (const target of ['/', '../outside', '../../../../../../../..', '/proc/self/cwd', '/proc/self/fd/0', '/proc/1/root']) {
    using place = room();
    symlinkSync(target.replace('/', '/'), join(place.base, 'l'));
    await place.apply([
      ['l/sub/evil', 'file', 'x'],
      ['l/outside/canary', 'file', 'dead'],
    ]);
    assert.equal(readFileSync(join(place.path, 'outside/canary'), 'utf8'), 'alive');
    assert.equal(existsSync('/sub/evil'), false);
  }
});

test('hostile layer-symlink-loop', root, async () => {
  await refused([['a/f', 'file', 'x']], 'layer/symlink-loop', ({ base }) => {
    symlinkSync('b', join(base, 'a'));
    symlinkSync('a', join(base, 'b'));
  });
});

test('hostile layer-dir-then-symlink: a folder that was written into becomes a link', root, async () => {
  await refused(
    [
      ['d', 'folder'],
      ['d/f', 'file', '1'],
      ['d', 'symlink', '../outside'],
      ['d/canary', 'file', 'dead'],
    ],
    'layer/through-own-link',
  );
});

test('hostile layer-hardlink-*: to the outside, to nothing, to a folder, through a link, via a chain', root, async () => {
  await refused([['h', 'hard-link', '/etc/hostname-that-is-not']], 'layer/bad-hard-link');
  await refused([['h', 'hard-link', '']], 'layer/bad-hard-link');
  await refused(
    [
      ['d', 'folder'],
      ['h', 'hard-link', 'd'],
    ],
    'layer/bad-hard-link',
  );
  await refused(
    [
      ['l', 'symlink', '../outside'],
      ['h', 'hard-link', 'l/canary'],
    ],
    'layer/through-own-link',
  );
  await refused(
    [
      ['h', 'hard-link', 'l/canary'],
      ['h', 'file', 'dead'],
    ],
    'layer/bad-hard-link',
    ({ base }) => symlinkSync('../outside', join(base, 'l')),
  );
  await refused([['h', 'hard-link', 'deleted']], 'layer/bad-hard-link', ({ base, upper }) => {
    put(base, 'deleted');
    whiteout(join(upper, 'deleted'));
  });
  using place = room();
  await place.apply([
    ['l', 'symlink', join(place.path, 'outside/canary')],
    ['h', 'hard-link', 'l'],
    ['h', 'file', 'dead'],
  ]);
  assert.equal(readFileSync(join(place.path, 'outside/canary'), 'utf8'), 'alive');
});

test('hostile layer-root-symlink, layer-root-file: the root is a folder and stays it', root, async () => {
  for (const name of ['.', '/', './.']) {
    await refused([[name, 'symlink', '../outside']], 'layer/root-not-folder');
    await refused([[name, 'file', 'x']], 'layer/root-not-folder');
    await refused(
      [
        ['f', 'file', 'x'],
        [name, 'hard-link', 'f'],
      ],
      'layer/root-not-folder',
    );
  }
});

test('hostile layer-whiteout: of .., of the root, of nothing, through links, in folders named like deletions', root, async () => {
  for (const name of ['.wh..', '.wh...', '.wh.', 'd/.wh...', 'd/.wh.']) await refused([[name]], 'layer/bad-whiteout');
  await refused([['../.wh.outside']], 'layer/path-escape');
  await refused([['.wh.d/f', 'file', 'x']], 'layer/reserved-name');
  await refused([['l', 'symlink', '../outside'], ['l/.wh.canary']], 'layer/through-own-link');
  using place = room();
  symlinkSync('../outside', join(place.base, 'l'));
  await place.apply([['l/.wh.canary'], ['l/.wh..wh..opq']]);
  assert.deepEqual(shape(place.upper), []);
  assert.equal(readFileSync(join(place.path, 'outside/canary'), 'utf8'), 'alive');
});

test('hostile layer-device-whiteout: device 0:0 is a deletion in disguise', root, async () => {
  await refused([['x', 'character-device', '', { device: { major: 0, minor: 0 } }]], 'layer/device-node');
});

test('hostile layer-device-node: the disk and the memory of the machine, and a usual device in an unusual place', root, async () => {
  await refused([['dev/sda', 'block-device', '', { device: { major: 8, minor: 0 } }]], 'layer/device-node');
  await refused([['mem', 'character-device', '', { device: { major: 1, minor: 1 } }]], 'layer/device-node');
  await refused([['dev/null', 'block-device']], 'layer/device-node');
  await refused([['null', 'character-device']], 'layer/device-node');
  using place = room();
  await place.apply([['dev/null', 'character-device']]);
  assert.deepEqual(shape(place.upper), ['dev folder', 'dev/null device']);
});

test('hostile layer-parent-file: a file as a folder, in this layer and below', root, async () => {
  await refused(
    [
      ['f', 'file', 'x'],
      ['f/g', 'file', 'x'],
    ],
    'layer/parent-not-folder',
  );
  await refused([['f/g', 'file', 'x']], 'layer/parent-not-folder', ({ base }) => put(base, 'f'));
});

test('hostile layer-backslash, -case-fold, -unicode-fold: names are bytes and nothing else', root, async () => {
  using place = room();
  const names = ['..\\x', 'C:\\y', 'a', 'A', '\u00c3\u00a9', 'e\u00cc\u0081', '-rf', '\u0001\n'];
  await place.apply(names.map((name) => [name, 'file', 'x'] as const));
  assert.deepEqual(readdirSync(place.upper, 'latin1').toSorted(), names.toSorted());
});

test('hostile deep-tree: a deep tree of folders, then replaced by a file', root, async () => {
  using place = room();
  await place.apply([[`${'d/'.repeat(120)}f`, 'file', 'x']]);
  let path = place.upper;
  for (let depth = 0; depth < 120; depth++) path = join(path, 'd');
  assert.equal(readFileSync(join(path, 'f'), 'utf8'), 'x');
  using other = room();
  await other.apply([
    [`${'d/'.repeat(120)}f`, 'file', 'x'],
    ['d', 'file', 'flat'],
  ]);
  assert.deepEqual(shape(other.upper), ['d flat']);
  await refused([['n'.repeat(256), 'file', 'x']], 'layer/cannot-unpack');
});

test('hostile bombs: too many entries, too large, sparse beyond the limit, endless padding', root, async () => {
  using place = room();
  const many = Array.from({ length: 20 }, (_, index) => [`f${index}`, 'file', 'x'] as const);
  await assert.rejects(place.apply(many, { limits: { entries: 19 } }), (error) => isCode(error, 'layer/too-large'));
  await assert.rejects(place.apply([['big', 'file', 'x'.repeat(5000)]], { limits: { size: 4999 } }), (error) =>
    isCode(error, 'layer/too-large'),
  );
  const file = join(place.path, 'zeros');
  writeFileSync(file, gzipSync(new Uint8Array(50 << 20)));
  const request = { file, mediaType, diffId: digestOf(''), folder: place.upper, below: [], limits: { size: 10 << 20 } };
  await assert.rejects(applyLayer(request, quiet, never), (error) => isCode(error, 'layer/too-large'));
});

test('hostile diffid-wrong: content that the config does not name', root, async () => {
  using place = room();
  await assert.rejects(place.apply([['f', 'file', 'x']], { diffId: digestOf('other') }), (error) => isCode(error, 'layer/wrong-diff-id'));
});

test('bytes after the end of the archive count for the digest; an archive without an end marker is taken', root, async () => {
  using place = room();
  const tar = archive([['f', 'file', 'x']]);
  for (const bytes of [tar.subarray(0, -1024), Buffer.concat([tar, new Uint8Array(9000)]), Buffer.from('')]) {
    const file = join(place.path, 'layer');
    writeFileSync(file, bytes);
    await applyLayer({ file, mediaType, diffId: digestOf(bytes), folder: place.upper, below: [] }, quiet, never);
  }
  assert.deepEqual(shape(place.upper), ['f x']);
});

test('compression: members, frames and skippable frames are read; damage, truncation and other formats are errors', root, async () => {
  using place = room();
  const tar = Buffer.from(archive([['f', 'file', 'x'.repeat(3000)]]));
  const halves = [tar.subarray(0, 1000), tar.subarray(1000)];
  const skippable = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 1, 2]);
  const apply = async (bytes: Uint8Array, type = mediaType): Promise<void> => {
    const file = join(place.path, 'layer');
    writeFileSync(file, bytes);
    await applyLayer({ file, mediaType: type, diffId: digestOf(tar), folder: place.upper, below: [] }, quiet, never);
  };
  await apply(Buffer.concat(halves.map((half) => gzipSync(half))));
  await apply(Buffer.concat([skippable, ...halves.map((half) => zstdCompressSync(half)), skippable]));
  const tiny = [...tar].map((_, index) =>
    zstdCompressSync(tar.subarray(index, index + 1), { params: { [constants.ZSTD_c_checksumFlag]: index % 2 } }),
  );
  await apply(Buffer.concat(tiny));
  await apply(tar, 'application/vnd.oci.image.layer.v1.tar');
  const [zip, zstd] = [gzipSync(tar), zstdCompressSync(tar)];
  const flipped = zip.map((byte, index) => (index === zip.length - 6 ? byte ^ 1 : byte));
  for (const bad of [
    zip.subarray(0, -9),
    zip.subarray(0, 20),
    flipped,
    zstd.subarray(0, -3),
    Buffer.concat([zstd, Buffer.from('garbage')]),
  ]) {
    await assert.rejects(apply(bad), (error) => isCode(error, 'layer/bad-compression') || assert.fail(String(error)));
  }
  await assert.rejects(apply(tar.subarray(0, 1500)), (error) => isCode(error, 'tar/truncated'));
  for (const magic of ['fd377a585a00', '425a6839314159265359', '04224d18', '504b0304']) {
    await assert.rejects(apply(Buffer.from(magic, 'hex')), (error) => isCode(error, 'layer/unsupported-compression'));
  }
  await assert.rejects(apply(zip, 'application/vnd.oci.image.layer.v1.tar+encrypted'), (error) => isCode(error, 'oci/unknown-layer-type'));
});

/** Waits until `path` is there, at most some minutes. */
async function appears(path: string): Promise<void> {
  for (let tries = 0; tries < 30_000 && !existsSync(path); tries++) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.ok(existsSync(path), `${path} is made before the layer is complete`);
}

test('a layer is unpacked while its file grows, and not beyond what is told to stop', root, async () => {
  const noise = randomBytes(400_000).toString('latin1');
  const tar = Buffer.from(
    archive([
      ['first', 'file', noise],
      ['second', 'file', noise],
    ]),
  );
  for (const bytes of [tar, gzipSync(tar), zstdCompressSync(tar)]) {
    using place = room();
    const file = join(place.path, 'layer');
    const cut = Math.floor(bytes.length * 0.7);
    writeFileSync(file, '');
    const request = { file, size: bytes.length, mediaType, diffId: digestOf(tar), folder: place.upper, below: [] };
    const applying = applyLayer(request, quiet, never);
    appendFileSync(file, bytes.subarray(0, 7));
    appendFileSync(file, bytes.subarray(7, cut));
    await appears(join(place.upper, 'first'));
    appendFileSync(file, bytes.subarray(cut));
    assert.equal((await applying).size, 2 * readFileSync(join(place.upper, 'first')).length);
  }
  using place = room();
  const file = join(place.path, 'layer');
  writeFileSync(file, tar.subarray(0, -1));
  const controller = new AbortController();
  const request = { file, size: tar.length, mediaType, diffId: digestOf(tar), folder: place.upper, below: [] };
  const applying = applyLayer(request, quiet, controller.signal);
  await appears(join(place.upper, 'second'));
  controller.abort(cancelled('enough'));
  await assert.rejects(applying, (error) => isCode(error, 'base/cancelled'));
});

test('aborting stops the thread before the promise rejects', root, async () => {
  using place = room();
  const file = join(place.path, 'layer');
  writeFileSync(file, Buffer.from(archive(Array.from({ length: 6000 }, (_, index) => [`d${index}/f`, 'file', 'x'.repeat(900)] as const))));
  const controller = new AbortController();
  const applying = applyLayer(
    { file, mediaType, diffId: digestOf('x'), folder: place.upper, below: [] },
    () => controller.abort(cancelled('enough')),
    controller.signal,
  );
  await assert.rejects(applying, (error) => isCode(error, 'base/cancelled'));
  const made = readdirSync(place.upper).length;
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(readdirSync(place.upper).length, made);
});

test.after(async () => await endThreads());

test('a blob that was renamed before its turn came is found', root, async () => {
  using place = room();
  const tar = archive([['f', 'file', 'x']]);
  const completeFile = join(place.path, 'complete');
  writeFileSync(completeFile, tar);
  const request = { file: join(place.path, 'part'), completeFile, size: tar.length, mediaType, diffId: digestOf(tar), folder: place.upper };
  await applyLayer({ ...request, below: [] }, quiet, never);
  assert.deepEqual(shape(place.upper), ['f x']);
});

test('a layer begins before those below it are complete, and waits where an entry needs them', root, async () => {
  using place = room();
  mkdirSync(join(place.base, 'etc'), { mode: 0o751 });
  const tar = archive([
    ['opt', 'folder'],
    ['opt/early', 'file', 'x'],
    ['etc/.wh.gone', 'file'],
    ['etc/late', 'file', 'y'],
  ]);
  const file = join(place.path, 'layer');
  writeFileSync(file, tar);
  const base = Promise.withResolvers<readonly string[]>();
  const request = { file, mediaType, diffId: digestOf(tar), folder: place.upper, below: base.promise };
  const unpacking = applyLayer(request, quiet, never);
  while (!existsSync(join(place.upper, 'opt/early'))) await sleep(5);
  await sleep(20);
  assert.deepEqual(readdirSync(place.upper), ['opt']);
  writeFileSync(join(place.base, 'etc/gone'), '');
  base.resolve([place.base]);
  assert.equal((await unpacking).ownRoot, false);
  assert.deepEqual(shape(place.upper), ['etc folder', 'etc/gone whiteout', 'etc/late y', 'opt folder', 'opt/early x']);
  assert.equal(statSync(join(place.upper, 'etc')).mode & 0o777, 0o751);
});

test(
  'layers that wait hold up no other, even when they were begun first and are many; an aborted one ends where it waits',
  root,
  async () => {
    using place = room();
    const tar = archive([['etc/.wh.gone', 'file']]);
    const file = join(place.path, 'waiting-layer');
    writeFileSync(file, tar);
    const base = Promise.withResolvers<readonly string[]>();
    const [controller, last] = [new AbortController(), new AbortController()];
    const waiting = Array.from({ length: 9 }, async (_, index) => {
      const folder = join(place.path, `over-${index}`);
      mkdirSync(folder);
      const { signal } = index === 8 ? last : controller;
      return await applyLayer({ file, mediaType, diffId: digestOf(tar), folder, below: base.promise }, quiet, signal);
    });
    await place.apply([['first', 'file', 'x']], { below: [] });
    assert.deepEqual(shape(place.upper), ['first x']);
    last.abort(cancelled('not begun yet'));
    await assert.rejects(async () => await waiting[8], /not begun yet/u);
    controller.abort(cancelled('enough'));
    const ends = await Promise.allSettled(waiting);
    assert.ok(ends.every((end) => end.status === 'rejected' && isCode(end.reason, 'base/cancelled')));
    assert.deepEqual(readdirSync(join(place.path, 'over-0')), []);
  },
);
