import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  mkdtempDisposableSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { cancelled } from '#ground/base/abort.ts';
import { fromText } from '#ground/base/byte-string.ts';
import { isCode } from '#ground/base/errors.ts';
import { AT_FDCWD, fileTypes, linkAt, makeNodeAt } from '#ground/linux/syscall.ts';
import { setAttribute } from '#ground/linux/attributes.ts';
import type { TarEntry } from '#formats/tar/entry.ts';
import { createTarReader } from '#formats/tar/read.ts';
import { removeSegments, segmentLength, segmentPath } from '#stores/content/segment.ts';
import { readEstargz } from '#test/kit/estargz-reader.ts';
import { estargzChunk } from './compressing/estargz.ts';
import { layerIdentity, recompressLayer, writeLayer, type LayerFormat } from './create.ts';
import { createBlobFile } from './making/blob-file.ts';
import { layerTar } from './making/layer-tar.ts';
import { identifySmallLayer, smallLayerLength } from './making/small.ts';
import { endThreads } from './threads.ts';

const never = new AbortController().signal;
const quiet = (): void => undefined;
const needsRoot = { skip: process.getuid?.() !== 0 };

function tempFolder(): Disposable & { readonly path: string } {
  const made = mkdtempDisposableSync(join(tmpdir(), 'jettison-layer-'));
  return { path: made.path, [Symbol.dispose]: () => made.remove() };
}

function mark(path: string, name: string, value = 'y'): void {
  setAttribute(fromText(path), name, Buffer.from(value));
}

function whiteout(path: string): void {
  makeNodeAt(AT_FDCWD, fromText(path), { type: fileTypes.character, mode: 0 });
}

function entriesOf(tar: Uint8Array): readonly TarEntry[] {
  const found: TarEntry[] = [];
  const reader = createTarReader({ entry: (entry) => void found.push(entry), data: quiet, entryEnd: quiet });
  reader.push(tar);
  reader.finish();
  return found;
}

function tarOf(folder: string, below?: readonly string[]): Uint8Array {
  const blocks: Uint8Array[] = [];
  for (const block of layerTar({ folder, ...(below === undefined ? {} : { below }) })) blocks.push(block.slice());
  return Buffer.concat(blocks);
}

function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** Files of the folder that this process, or a thread of it, has open. */
function openBelow(folder: string): readonly string[] {
  return readdirSync('/proc/self/fd')
    .filter((id) => existsSync(`/proc/self/fd/${id}`))
    .map((id) => readlinkSync(`/proc/self/fd/${id}`))
    .filter((path) => path.startsWith(folder));
}

test('no file stays open whose layer is not read to its end: it is not small, or holds what it may not', needsRoot, async () => {
  using temp = tempFolder();
  writeFileSync(join(temp.path, 'file'), `${'x'.repeat(3_000_000)}to be kept secret${'x'.repeat(3_000_000)}`);
  await layerIdentity({ folder: temp.path }, never);
  assert.deepEqual(openBelow(temp.path), []);
  const needles = [{ id: 'tok', bytes: Buffer.from('to be kept secret') }];
  await assert.rejects(layerIdentity({ folder: temp.path, needles }, never), /stands in "\/file", line 1:/u);
  assert.deepEqual(openBelow(temp.path), []);
});

test('a layer holds what its folder says: order, whiteouts, links, devices, attributes', needsRoot, async () => {
  using temp = tempFolder();
  const upper = join(temp.path, 'upper');
  const other = join(temp.path, 'other');
  for (const path of ['other', 'upper', 'upper/b', 'upper/b/opaque', 'upper/s']) mkdirSync(join(temp.path, path));
  writeFileSync(join(other, 'linked-from-below'), 'x');
  linkSync(join(other, 'linked-from-below'), join(upper, 'copied'));
  writeFileSync(join(upper, 'b/z'), 'zz');
  linkSync(join(upper, 'b/z'), join(upper, 'b/first'));
  linkSync(join(upper, 'b/z'), join(upper, 'a-last'));
  whiteout(join(upper, 'b/gone'));
  linkAt(AT_FDCWD, fromText(join(upper, 'b/gone')), AT_FDCWD, fromText(join(upper, 'b/also-gone')));
  mark(join(upper, 'b/opaque'), 'trusted.overlay.opaque');
  mark(join(upper, 'b/opaque'), 'trusted.overlay.origin', 'o');
  mark(join(upper, 'b/opaque'), 'user.kept', '\xff\0');
  symlinkSync('nowhere', join(upper, 's/link'));
  lutimesSync(join(upper, 's/link'), 5.9, 5.9);
  linkSync(join(upper, 's/link'), join(upper, 's/link2'));
  makeNodeAt(AT_FDCWD, fromText(join(upper, 's/null')), { type: fileTypes.character, mode: 0o600, major: 1, minor: 3 });
  makeNodeAt(AT_FDCWD, fromText(join(upper, 's/pipe')), { type: fileTypes.fifo, mode: 0o600 });
  writeFileSync(Buffer.concat([Buffer.from(join(upper, 's/')), Buffer.from([0xff, 0xfe])]), 'bytes');
  const server = createServer().listen(join(upper, 's/socket'));
  chmodSync(join(upper, 'b'), 0o1777);

  const found = entriesOf(tarOf(upper));
  server.close();
  assert.deepEqual(
    found.map(({ name, kind, linkName }) => `${kind} ${name}${linkName === '' ? '' : ` -> ${linkName}`}`),
    [
      'file a-last',
      'folder b',
      'file b/.wh.also-gone',
      'file b/.wh.gone',
      'hard-link b/first -> a-last',
      'folder b/opaque',
      'file b/opaque/.wh..wh..opq',
      'hard-link b/z -> a-last',
      'file copied',
      'folder s',
      'symlink s/link -> nowhere',
      'hard-link s/link2 -> s/link',
      'character-device s/null',
      'fifo s/pipe',
      'file s/\xff\xfe',
    ],
  );
  const byName = new Map(found.map((entry) => [String(entry.name), entry]));
  assert.equal(byName.get('b')?.mode, 0o1777);
  assert.equal(byName.get('s/link')?.mtime, 5_000_000_000n);
  assert.deepEqual(byName.get('s/null')?.device, { major: 1, minor: 3 });
  assert.deepEqual([...(byName.get('b/opaque')?.xattrs ?? [])], [['user.kept', new Uint8Array(Buffer.from('\xff\0'))]]);
});

test('a file named .wh.x is refused, not made a deletion; so is a folder that overlayfs reads elsewhere', needsRoot, async () => {
  using temp = tempFolder();
  const folder = join(temp.path, 'a');
  mkdirSync(folder);
  writeFileSync(join(folder, '.wh.a'), '');
  await assert.rejects(
    layerIdentity({ folder }, never),
    (error) => isCode(error, 'layer/reserved-name') && error.message.includes('/.wh.a'),
  );
  const redirected = join(temp.path, 'b');
  mkdirSync(join(redirected, 'dir'), { recursive: true });
  mark(join(redirected, 'dir'), 'trusted.overlay.redirect', '/etc');
  await assert.rejects(layerIdentity({ folder: redirected }, never), (error) => isCode(error, 'layer/foreign-overlay'));
  await assert.rejects(layerIdentity({ folder: join(temp.path, 'none') }, never), (error) => isCode(error, 'layer/folder-missing'));
});

test('an empty folder and an opaque root', needsRoot, () => {
  using temp = tempFolder();
  assert.equal(sha256(tarOf(temp.path)), 'sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef');
  mark(temp.path, 'trusted.overlay.opaque');
  assert.deepEqual(
    entriesOf(tarOf(temp.path)).map(({ name }) => name),
    ['.wh..wh..opq'],
  );
});

test('over known lower layers, deletions of what is not there are left out', needsRoot, () => {
  using temp = tempFolder();
  const [upper, below] = [join(temp.path, 'upper'), join(temp.path, 'below')];
  for (const path of ['upper/new', 'upper/known/inner', 'upper/file', 'below/known/inner', 'below/seen']) {
    mkdirSync(join(temp.path, path), { recursive: true });
  }
  for (const path of ['new', 'known', 'known/inner', 'file']) mark(join(upper, path), 'trusted.overlay.opaque');
  for (const path of ['gone', 'seen', 'known/inner/x']) whiteout(join(upper, path));
  writeFileSync(join(below, 'file'), '');
  const marks = (folders?: readonly string[]): readonly string[] =>
    entriesOf(tarOf(upper, folders))
      .map(({ name }) => name)
      .filter((name) => name.includes('.wh.'));
  assert.deepEqual(marks([below]), ['.wh.seen', 'known/.wh..wh..opq']);
  assert.deepEqual(marks([]), []);
  assert.equal(marks().length, 5, 'all but those behind an opaque folder');
});

test('a file that changes size while it is read is an error', () => {
  for (const size of [3 << 20, 5 << 20]) {
    using temp = tempFolder();
    writeFileSync(join(temp.path, 'f'), new Uint8Array(4 << 20));
    const blocks = layerTar({ folder: temp.path });
    blocks.next();
    truncateSync(join(temp.path, 'f'), size);
    assert.throws(
      () => [...blocks],
      (error) => isCode(error, 'layer/file-changed'),
      `${size}`,
    );
  }
});

test('every format and width gives the same tar; gzip and zstd are ordinary files', async () => {
  using temp = tempFolder();
  const folder = join(temp.path, 'upper');
  mkdirSync(folder);
  let seed = 1;
  const noise = Uint8Array.from({ length: 1_500_000 }, () => (seed = (seed * 48_271) % 2_147_483_647) & 0xff);
  writeFileSync(join(folder, 'a-text'), 'some words that come again and again\n'.repeat(60_000));
  writeFileSync(join(folder, 'b-noise'), noise);
  writeFileSync(join(folder, 'c-zeros'), new Uint8Array(1_000_001));
  for (const name of ['a-text', 'b-noise', 'c-zeros']) utimesSync(join(folder, name), 7, 7);
  const identity = await layerIdentity({ folder }, never);
  const digests = new Map<string, string>();
  for (const [format, width] of [
    ['tar', 1],
    ['gzip', 1],
    ['gzip', 2],
    ['gzip', 5],
    ['zstd', 1],
    ['zstd', 3],
  ] as const) {
    const file = join(temp.path, `${format}-${width}`);
    const seen: number[] = [];
    const blob = await writeLayer({ folder, format, file, width }, (bytes) => void seen.push(bytes), never);
    const bytes = readFileSync(file);
    assert.equal(blob.diffId, identity.diffId);
    assert.equal(blob.digest, sha256(bytes));
    assert.equal(blob.size, bytes.length);
    assert.equal(digests.get(format) ?? blob.digest, blob.digest, `${format} ${width}`);
    digests.set(format, blob.digest);
    const unpack: Record<Exclude<LayerFormat, 'estargz'>, (data: Uint8Array) => Uint8Array> = {
      tar: (data) => data,
      gzip: gunzipSync,
      zstd: zstdDecompressSync,
    };
    const tar = unpack[format](bytes);
    assert.equal(sha256(tar), identity.diffId);
    assert.equal(identity.size, 60_000 * 37 + 1_500_000 + 1_000_001);
    if (format !== 'tar') assert.ok(bytes.length < noise.length * 1.01 + 100_000, `${format} stores noise as it is: ${bytes.length}`);
  }
  const input = readFileSync(join(temp.path, 'gzip-2'));
  if (existsSync('/bin/gzip')) execFileSync('gzip', ['-t'], { input });
  if (existsSync('/usr/bin/pigz')) execFileSync('pigz', ['-t'], { input });
  if (existsSync('/usr/bin/zstd')) execFileSync('zstd', ['-tq'], { input: readFileSync(join(temp.path, 'zstd-3')) });
  const least = await writeLayer({ folder, format: 'gzip', level: 1, file: join(temp.path, 'level-1') }, () => undefined, never);
  assert.equal(sha256(gunzipSync(readFileSync(join(temp.path, 'level-1')))), identity.diffId);
  assert.notEqual(least.digest, digests.get('gzip'), 'a level changes the bytes');
});

test('eStargz: a table of contents by which each chunk is found and checked; the same bytes on any number of cores; the tar is in it as it was', async () => {
  using temp = tempFolder();
  const folder = join(temp.path, 'tree');
  mkdirSync(join(folder, 'deep/er'), { recursive: true });
  const large = Buffer.concat([randomBytes(estargzChunk), Buffer.alloc(estargzChunk, 'b'), Buffer.from('end')]);
  const contents: Readonly<Record<string, Uint8Array>> = {
    'a-text': Buffer.from('text\n'),
    'b-empty': Buffer.alloc(0),
    'c-large': large,
    'd-exact': Buffer.alloc(estargzChunk, 'd'),
    'deep/er/m\u00fcsli': Buffer.alloc(70_000, 'x'),
    'z-last': Buffer.from('z'),
  };
  for (const [name, bytes] of Object.entries(contents)) writeFileSync(join(folder, name), bytes);
  for (const name of Object.keys(contents)) utimesSync(join(folder, name), 1_600_000_000, 1_600_000_000);
  linkSync(join(folder, 'a-text'), join(folder, 'e-name'));
  symlinkSync('../a-text', join(folder, 'deep/link'));
  setAttribute(fromText(join(folder, 'a-text')), 'user.note', Buffer.from([0, 0xff]));
  const write = async (format: LayerFormat, width: number, file: string) =>
    await writeLayer({ folder, format, width, level: 1, file: join(temp.path, file) }, quiet, never);
  const [tar, one, five] = [await write('tar', 1, 'tar'), await write('estargz', 1, 'one'), await write('estargz', 5, 'five')];
  assert.equal(one.diffId, tar.diffId);
  assert.deepEqual(five, one);
  const blob = readFileSync(join(temp.path, 'one'));
  assert.equal(one.digest, sha256(blob));
  const read = readEstargz(blob);
  assert.deepEqual(one.estargz, { tocDigest: read.tocDigest, diffId: read.diffId, size: read.size });
  assert.deepEqual(gunzipSync(blob).subarray(0, tar.size), readFileSync(join(temp.path, 'tar')));
  assert.deepEqual([...read.files.keys()], Object.keys(contents));
  for (const [name, bytes] of Object.entries(contents))
    assert.ok(Buffer.from(bytes).equals(read.files.get(name) ?? Buffer.from('?')), name);
  const entry = (name: string): object | undefined => read.entries.find((found) => found.name === name);
  const owner = { mode: 0o644, uid: process.getuid?.(), gid: process.getgid?.() };
  const { offset: _offset, digest, chunkDigest, ...rest } = { ...read.entries[0] };
  assert.deepEqual(rest, {
    name: 'a-text',
    type: 'reg',
    size: 5,
    modtime: '2020-09-13T12:26:40Z',
    ...owner,
    xattrs: { 'user.note': 'AP8=' },
  });
  assert.equal(digest, chunkDigest);
  assert.deepEqual(entry('e-name'), { name: 'e-name', type: 'hardlink', modtime: '2020-09-13T12:26:40Z', linkName: 'a-text', ...owner });
  assert.deepEqual(
    read.entries.filter(({ name }) => name === 'c-large').map(({ type, chunkOffset, chunkSize }) => [type, chunkOffset, chunkSize]),
    [
      ['reg', undefined, estargzChunk],
      ['chunk', estargzChunk, estargzChunk],
      ['chunk', 2 * estargzChunk, undefined],
    ],
  );
  assert.deepEqual(
    read.entries.map(({ type }) => type).filter((type) => !['reg', 'chunk', 'hardlink'].includes(type)),
    ['dir', 'dir', 'symlink'],
  );

  // Of a blob in another form the same comes out, byte for byte.
  const packed = await write('gzip', 2, 'packed');
  const again = await recompressLayer(
    { blob: join(temp.path, 'packed'), format: 'estargz', level: 1, file: join(temp.path, 'again') },
    quiet,
    never,
  );
  assert.deepEqual(again, { ...one, diffId: packed.diffId });
  // Made of such a layer, it would hold two tables.
  writeFileSync(join(folder, 'stargz.index.json'), '{}');
  await assert.rejects(write('estargz', 1, 'twice'), (error) => isCode(error, 'layer/not-for-estargz'));
  assert.equal(existsSync(join(temp.path, 'twice')), false);
});

test('eStargz of a layer from elsewhere with a sparse file is refused: the bytes of the archive are not those of the file', async () => {
  using temp = tempFolder();
  const [file, blob] = [join(temp.path, 'holes'), join(temp.path, 'tar')];
  writeFileSync(file, 'start');
  truncateSync(file, 1 << 20);
  execFileSync('tar', ['--sparse', '-cf', blob, '-C', temp.path, 'holes']);
  const written = recompressLayer({ blob, format: 'estargz', file: join(temp.path, 'out') }, quiet, never);
  await assert.rejects(written, (error) => isCode(error, 'layer/not-for-estargz'));
});

test('the identity of a layer is that of its tar, small or not', async () => {
  using folder = tempFolder();
  mkdirSync(join(folder.path, 'sub'));
  // Two headers and the end of the archive take 2,048 bytes.
  for (const length of [0, 1, 512, smallLayerLength - 2560, smallLayerLength - 2048, smallLayerLength - 2047, 3 * smallLayerLength]) {
    writeFileSync(join(folder.path, 'sub/file'), Buffer.alloc(length, 'x'));
    const tar = tarOf(folder.path);
    const expected = { diffId: `sha256:${createHash('sha256').update(tar).digest('hex')}`, size: length };
    assert.deepEqual(await layerIdentity({ folder: folder.path }, never), expected, `${length}`);
    const small = identifySmallLayer({ folder: folder.path });
    assert.deepEqual(small, tar.length < smallLayerLength ? expected : undefined, `${length}`);
  }
});

test('a file is complete or not there: aborted, in the way, disk errors', async () => {
  using temp = tempFolder();
  const folder = join(temp.path, 'upper');
  mkdirSync(folder);
  writeFileSync(join(folder, 'big'), '');
  truncateSync(join(folder, 'big'), 2 ** 33);
  const controller = new AbortController();
  const file = join(temp.path, 'out');
  const writing = writeLayer({ folder, format: 'gzip', file }, () => controller.abort(cancelled('enough')), controller.signal);
  await assert.rejects(writing, (error) => isCode(error, 'base/cancelled'));
  assert.equal(existsSync(file), false);
  await assert.rejects(layerIdentity({ folder }, AbortSignal.abort(cancelled('before'))), (error) => isCode(error, 'base/cancelled'));
  writeFileSync(file, 'kept');
  await assert.rejects(writeLayer({ folder, format: 'tar', file }, quiet, never), (error) => isCode(error, 'layer/system-error'));
  assert.equal(readFileSync(file, 'utf8'), 'kept');
});

test('a blob that is passed on and shrinks little is left in segments, with the same bytes', async () => {
  using temp = tempFolder();
  const folder = join(temp.path, 'upper');
  mkdirSync(folder);
  writeFileSync(join(folder, 'noise'), randomBytes(50 << 20));
  const [whole, parts] = [join(temp.path, 'whole'), join(temp.path, 'parts')];
  const kept = await writeLayer({ folder, format: 'gzip', file: whole }, quiet, never);
  assert.equal(kept.segments, 1);
  const passed = await writeLayer({ folder, format: 'gzip', file: parts, passes: true }, quiet, never);
  assert.deepEqual(passed, { ...kept, segments: 4 });
  assert.ok(kept.size > 50 << 20 && kept.size < (50 << 20) + 10_000, `stored as it is: ${kept.size}`);
  const joined = Array.from({ length: passed.segments }, (_, index) => readFileSync(segmentPath(parts, index)));
  assert.equal(sha256(Buffer.concat(joined)), kept.digest);
  removeSegments(parts, passed.segments);
  assert.deepEqual(readdirSync(temp.path).toSorted(), ['upper', 'whole']);
});

test('the writer of segments waits for their reader, and can be ended while it waits', () => {
  using temp = tempFolder();
  const path = join(temp.path, 'blob');
  const block = new Uint8Array(segmentLength);
  let waits = 0;
  using file = createBlobFile(path, true, () => {
    waits++;
    if (waits > 2) throw new Error('enough');
    rmSync(segmentPath(path, waits - 1));
  });
  const write = (): void => file.write([block], file.size);
  // Four blocks in the first segment, and eleven segments more.
  for (let count = 0; count < 4 + 11; count++) write();
  assert.deepEqual([file.segments, waits], [12, 0]);
  write();
  write();
  assert.deepEqual([file.segments, waits], [14, 2]);
  assert.throws(write, /enough/u);
  file.remove();
  assert.deepEqual(readdirSync(temp.path), []);
});

test('GNU tar and Python read a layer', needsRoot, async () => {
  using temp = tempFolder();
  const folder = join(temp.path, 'upper');
  mkdirSync(join(folder, 'd'), { recursive: true });
  writeFileSync(join(folder, 'd/f'), 'content');
  linkSync(join(folder, 'd/f'), join(folder, 'd/g'));
  mark(join(folder, 'd/f'), 'user.note', '\xff\xfe');
  const file = join(temp.path, 'layer.tar');
  await writeLayer({ folder, format: 'tar', file }, quiet, never);
  const out = join(temp.path, 'out');
  mkdirSync(out);
  execFileSync('tar', ['--xattrs', '-C', out, '-xf', file]);
  assert.equal(readFileSync(join(out, 'd/g'), 'utf8'), 'content');
  const names = execFileSync(
    'python3',
    ['-c', 'import tarfile,sys; print(*[(m.name, m.type, m.linkname) for m in tarfile.open(sys.argv[1])])', file],
    { encoding: 'utf8' },
  );
  assert.match(names, /\('d\/g', b'1', 'd\/f'\)/u);
});

test.after(async () => await endThreads());
