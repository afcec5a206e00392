import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  closeSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { asByteString, bytesOf, fromBytes, fromText, type ByteString } from '#ground/base/byte-string.ts';
import { isCode } from '#ground/base/errors.ts';
import type { TarEntry, TarKind } from './entry.ts';
import { createTarReader, type TarReaderOptions } from './read.ts';
import { encodeHeader, endOfArchive, paddingOf } from './write.ts';
import { randomRuns } from '#test/kit/random.ts';

type Read = { readonly entry: TarEntry; readonly content: Uint8Array };

const plain: TarEntry = {
  name: asByteString('a'),
  kind: 'file',
  mode: 0o644,
  uid: 0,
  gid: 0,
  size: 0,
  mtime: 1_700_000_000_000_000_000n,
  linkName: asByteString(''),
  device: undefined,
  xattrs: new Map(),
};

function archive(entries: readonly { readonly entry: TarEntry; readonly content?: Uint8Array }[]): Uint8Array {
  const parts = entries.flatMap(({ entry, content }) => [
    encodeHeader(entry),
    content ?? new Uint8Array(0),
    new Uint8Array(paddingOf(entry.size)),
  ]);
  return Buffer.concat([...parts, endOfArchive()]);
}

/** Reads `bytes` in chunks of `step`; content with its holes filled. */
function read(bytes: Uint8Array, step = bytes.length, options: TarReaderOptions = {}): readonly Read[] {
  const found: Read[] = [];
  let content: Uint8Array = new Uint8Array(0);
  let current = plain;
  const reader = createTarReader(
    {
      entry(entry) {
        current = entry;
        content = new Uint8Array(entry.size);
      },
      data: (data, offset) => content.set(data, offset),
      entryEnd: () => void found.push({ entry: current, content }),
    },
    options,
  );
  for (let at = 0; at < bytes.length; at += step) reader.push(bytes.subarray(at, at + step));
  reader.finish();
  return found;
}

function fails(bytes: Uint8Array, code: string, options: TarReaderOptions = {}): void {
  assert.throws(
    () => read(bytes, 1000, options),
    (error) => isCode(error, code) && /at byte \d+/u.test(error.message),
  );
}

/** A header block with fields overwritten and the checksum made right. */
function header(entry: Partial<TarEntry>, fields: Readonly<Record<number, string>> = {}): Uint8Array {
  const block = encodeHeader({ ...plain, ...entry }).slice(-512);
  for (const [at, text] of Object.entries(fields)) block.set(Buffer.from(text, 'latin1'), Number(at));
  block.fill(0x20, 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.set(Buffer.from(`${sum.toString(8).padStart(6, '0')}\0 `), 148);
  return block;
}

/** An extension header (`x`, `g`, `L`, `K`) with its content. */
function extension(typeFlag: string, content: string | Uint8Array): Uint8Array {
  const bytes = typeof content === 'string' ? Buffer.from(content, 'latin1') : content;
  return Buffer.concat([header({ size: bytes.length }, { 156: typeFlag }), bytes, new Uint8Array(paddingOf(bytes.length))]);
}

function record(key: string, value: string): string {
  const rest = `${key}=${value}\n`.length + 1;
  let length = rest + String(rest).length;
  length = rest + String(length).length;
  return `${length} ${key}=${value}\n`;
}

function headerSize(name: ByteString): number {
  return encodeHeader({ ...plain, name }).length;
}

/** A number field of twelve bytes. */
function octal(value: number): string {
  return `${value.toString(8).padStart(11, '0')}\0`;
}

const end = endOfArchive();
const concat = (...parts: readonly Uint8Array[]): Uint8Array => Buffer.concat(parts);

test('what is written is read back, in chunks of any size', () => {
  const names = fc.uint8Array({ minLength: 1, maxLength: 300 }).map((bytes) => {
    const name = fromBytes(bytes.map((byte) => (byte === 0 ? 1 : byte)));
    return asByteString(name.replace(/\/+$/u, '') || 'x');
  });
  const kinds = fc.constantFrom<TarKind>('file', 'folder', 'symlink', 'hard-link', 'fifo', 'character-device', 'block-device');
  const entries = fc
    .record({
      name: fc.oneof(names, fc.constantFrom('a/'.repeat(120) + 'b', 'é', 'x'.repeat(101)).map(fromText)),
      kind: kinds,
      mode: fc.integer({ min: 0, max: 0o7777 }),
      uid: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xfffffffe })),
      gid: fc.integer({ min: 0, max: 0xfffffffe }),
      seconds: fc.oneof(fc.constant(0n), fc.bigInt({ min: -(2n ** 40n), max: 2n ** 40n })),
      content: fc.uint8Array({ maxLength: 2000 }),
      linkName: names,
      device: fc.tuple(fc.nat(4095), fc.nat(0xfffff)).map(([major, minor]) => ({ major, minor })),
      xattrs: fc.array(
        fc.tuple(fc.constantFrom('user.a', 'security.capability', 'user.x=y', 'user.%3D%'), fc.uint8Array({ maxLength: 64 })),
      ),
    })
    .map(({ content, seconds, linkName, device, xattrs, ...rest }) => {
      const isFile = rest.kind === 'file';
      const isLink = rest.kind === 'symlink' || rest.kind === 'hard-link';
      const isDevice = rest.kind === 'character-device' || rest.kind === 'block-device';
      const entry: TarEntry = {
        ...rest,
        size: isFile ? content.length : 0,
        mtime: seconds * 1_000_000_000n,
        linkName: isLink ? linkName : asByteString(''),
        device: isDevice ? device : undefined,
        xattrs: new Map(xattrs.map(([key, value]) => [key, new Uint8Array(value)])),
      };
      return { entry, content: isFile ? new Uint8Array(content) : new Uint8Array(0) };
    });
  fc.assert(
    fc.property(fc.array(entries, { maxLength: 6 }), fc.integer({ min: 1, max: 1500 }), (list, step) => {
      assert.deepEqual(read(archive(list), step), list);
    }),
    randomRuns(150),
  );
});

test('times are written as whole seconds, rounded down', () => {
  const [late, early] = read(archive([{ entry: { ...plain, mtime: 1_999_999_999n } }, { entry: { ...plain, mtime: -1n } }]));
  assert.equal(late?.entry.mtime, 1_000_000_000n);
  assert.equal(early?.entry.mtime, -1_000_000_000n);
});

test('a short ASCII name needs one block, a long path its prefix, anything else a pax header', () => {
  assert.equal(headerSize(asByteString('a'.repeat(100))), 512);
  assert.equal(headerSize(asByteString(`${'d'.repeat(150)}/${'f'.repeat(100)}`)), 512);
  assert.equal(headerSize(asByteString(`${'d'.repeat(156)}/${'f'.repeat(100)}`)), 1536);
  assert.equal(headerSize(asByteString('\u00ff')), 1536);
});

test('a file of more than 8 GiB and large IDs go to the pax header', () => {
  const entry = { ...plain, size: 9 * 2 ** 30, uid: 3_000_000_000, gid: 2_097_152 };
  let found: TarEntry | undefined;
  createTarReader({ entry: (each) => void (found = each), data: () => undefined, entryEnd: () => undefined }).push(encodeHeader(entry));
  assert.deepEqual(found, entry);
});

test('the reader knows v7, GNU long names, base-256 numbers, signed checksums and global headers', () => {
  const v7 = header({ kind: 'folder', name: asByteString('old') }, { 257: '\0'.repeat(8), 156: '\0' });
  assert.equal(read(concat(v7, end))[0]?.entry.kind, 'folder');

  const long = asByteString('n'.repeat(500));
  const gnu = read(concat(extension('L', `${long}\0`), extension('K', 'target\0'), header({ kind: 'symlink' }), end));
  assert.equal(gnu[0]?.entry.name, long);
  assert.equal(gnu[0]?.entry.linkName, 'target');

  const base256 = read(concat(header({}, { 108: '\x80\0\0\0\x77\x35\x94\0', 136: '\xff'.repeat(12) }), end));
  assert.equal(base256[0]?.entry.uid, 2_000_000_000);
  assert.equal(base256[0]?.entry.mtime, -1_000_000_000n);

  const signed = header({}, { 0: '\xff\xfe' });
  const sum = signed.reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 32 : byte < 128 ? byte : byte - 256), 0);
  signed.set(Buffer.from(`${sum.toString(8).padStart(6, '0')}\0 `), 148);
  assert.equal(read(concat(signed, end))[0]?.entry.name, '\xff\xfe');

  const global = read(
    concat(
      extension('g', record('mtime', '5.25') + record('comment', 'x')),
      header({}),
      extension('x', record('mtime', '7')),
      header({}),
      end,
    ),
  );
  assert.deepEqual(
    global.map(({ entry }) => entry.mtime),
    [5_250_000_000n, 7_000_000_000n],
  );
});

test('sparse files of every format have their holes', () => {
  const stored = concat(Buffer.from('ab'), Buffer.from('cd'), new Uint8Array(508));
  const expected = Buffer.from('\0\0ab\0\0\0cd\0', 'latin1');
  const check = (bytes: Uint8Array): void => {
    const [file] = read(concat(bytes, header({ name: asByteString('next') }), end), 100);
    assert.equal(file?.entry.size, 10);
    assert.deepEqual(Buffer.from(file?.content ?? []), expected);
  };
  const oldFields = { 156: 'S', 257: 'ustar  \0', 386: octal(2) + octal(2) + octal(7) + octal(2), 483: octal(10) };
  check(concat(header({ size: 4 }, oldFields), stored));

  const more = new Uint8Array(512);
  more.set(Buffer.from(octal(7) + octal(2)));
  check(concat(header({ size: 4 }, { ...oldFields, 386: octal(2) + octal(2), 482: '\u0001' }), more, stored));

  const region = (offset: number, length: number): string =>
    record('GNU.sparse.offset', String(offset)) + record('GNU.sparse.numbytes', String(length));
  check(concat(extension('x', record('GNU.sparse.size', '10') + region(2, 2) + region(7, 2)), header({ size: 4 }), stored));

  const map = record('GNU.sparse.size', '10') + record('GNU.sparse.map', '2,2,7,2');
  check(concat(extension('x', map + record('GNU.sparse.name', 'real')), header({ size: 4 }), stored));

  const version = record('GNU.sparse.major', '1') + record('GNU.sparse.minor', '0') + record('GNU.sparse.realsize', '10');
  const dataMap = new Uint8Array(512);
  dataMap.set(Buffer.from('2\n2\n2\n7\n2\n'));
  check(concat(extension('x', version), header({ size: 516 }), dataMap, stored));
});

test('hostile: a truncated archive is an error at every length', () => {
  const whole = archive([
    { entry: { ...plain, size: 700, xattrs: new Map([['user.a', new Uint8Array(3)]]) }, content: new Uint8Array(700) },
  ]);
  for (const length of [0, 1, 511, 512, 600, 1024, 1536, 2000, 2236, 2300, whole.length - 1024, whole.length - 512, whole.length - 1]) {
    fails(whole.subarray(0, length), 'tar/truncated');
  }
  assert.equal(read(whole.subarray(0, -1024), 100, { endMarker: 'optional' }).length, 1);
  fails(whole.subarray(0, 600), 'tar/truncated', { endMarker: 'optional' });
  fails(whole.subarray(0, -1025), 'tar/truncated', { endMarker: 'optional' });
});

test('hostile: headers that cannot be', () => {
  const good = header({});
  const flipped = good.slice();
  flipped[5] = 0x41;
  fails(concat(flipped, end), 'tar/bad-checksum');
  fails(concat(header({}, { 124: 'zzz' }), end), 'tar/bad-header');
  fails(concat(header({}, { 124: `\xff${'\0'.repeat(11)}` }), end), 'tar/bad-header');
  fails(concat(header({}, { 124: `\x80${'\xff'.repeat(11)}` }), end), 'tar/bad-header');
  fails(concat(header({}, { 108: '\x80\0\0\0\xff\xff\xff\xff' }), end), 'tar/bad-header');
  fails(concat(header({}, { 156: 'V' }), end), 'tar/unsupported');
  fails(concat(header({}, { 0: '\0'.repeat(100) }), end), 'tar/bad-header');
  fails(concat(new Uint8Array(512), good, end), 'tar/bad-header');
});

test('hostile: pax headers that lie', () => {
  for (const text of [
    '5 a=',
    '99 a=b\n',
    '0 a=b\n',
    '6 =b\n\n',
    '-6 a=b\n',
    '6 a\0=\n',
    'x',
    '6 abc\n',
    `6 abc\n${record('a', 'b')}`,
    '999999999999 a=b\n',
  ]) {
    fails(concat(extension('x', text), header({}), end), 'tar/bad-pax');
  }
  fails(concat(extension('x', record('path', 'a\0b')), header({}), end), 'tar/bad-pax');
  fails(concat(extension('x', record('size', '-1')), header({}), end), 'tar/bad-pax');
  fails(concat(extension('x', record('size', '99999999999999999')), header({}), end), 'tar/bad-pax');
  fails(concat(extension('x', record('uid', '4294967295')), header({}), end), 'tar/bad-header');
  fails(concat(extension('x', record('mtime', '1e9')), header({}), end), 'tar/bad-pax');
  fails(concat(extension('g', record('path', 'everywhere')), header({}), end), 'tar/bad-pax');
  fails(concat(extension('g', record('size', '0')), header({}), end), 'tar/bad-pax');
  fails(concat(extension('x', record('a', 'b')), extension('x', record('a', 'b')), header({}), end), 'tar/bad-pax');
  fails(concat(extension('x', record('a', 'b')), end), 'tar/truncated');
  fails(concat(extension('g', record('SCHILY.xattr.user.a', 'b')), header({}), end), 'tar/bad-pax');
});

test('hostile: a global header of 80,000 keys costs an entry after it nothing', () => {
  const keys = extension('g', Array.from({ length: 80_000 }, (_, index) => record(`k${index}`, '')).join(''));
  const entries = concat(...Array.from({ length: 5000 }, () => header({})), end);
  const before = process.cpuUsage();
  assert.equal(read(concat(keys, entries), 1 << 20).length, 5000);
  const { user, system } = process.cpuUsage(before);
  assert.ok(user + system < 5_000_000, `${user + system} microseconds`);
});

test('hostile: bombs of names, pax headers, sparse maps and header chains', () => {
  fails(header({ size: 2 ** 21 }, { 156: 'x' }), 'tar/too-large');
  fails(header({ size: 5000 }, { 156: 'L' }), 'tar/too-large');
  fails(concat(extension('x', record('path', 'p'.repeat(4097))), header({}), end), 'tar/too-large');
  fails(concat(...Array.from({ length: 17 }, () => extension('L', 'a\0')), header({}), end), 'tar/too-large');
  fails(concat(...Array.from({ length: 1025 }, () => extension('g', '')), header({}), end), 'tar/too-large');
  const version = record('GNU.sparse.major', '1') + record('GNU.sparse.minor', '0') + record('GNU.sparse.realsize', '1');
  const bomb = Buffer.alloc(3 << 20, '0\n');
  bomb.write('999999999\n');
  fails(concat(extension('x', version), header({ size: bomb.length }), bomb), 'tar/too-large');
  const block = Buffer.from((octal(0) + octal(0)).repeat(21) + '\u0001'.padEnd(8, '\0'), 'latin1');
  fails(
    concat(header({}, { 156: 'S', 257: 'ustar  \0', 482: '\u0001', 483: octal(10) }), ...Array.from({ length: 4000 }, () => block)),
    'tar/too-large',
  );
});

test('hostile: sparse maps that overlap, leave the file or tell of other sizes', () => {
  for (const map of ['4,2,2,2', '0,20', '0,3', '1', '0,1,,', '9,9007199254740991']) {
    fails(
      concat(
        extension('x', record('GNU.sparse.size', '10') + record('GNU.sparse.map', map)),
        header({ size: 4 }),
        new Uint8Array(512),
        end,
      ),
      'tar/bad-sparse',
    );
  }
});

const hasTools = existsSync('/usr/bin/python3') || existsSync('/usr/local/bin/python3');

test('GNU tar and Python read what is written', { skip: !hasTools }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'jettison-tar-'));
  try {
    const long = asByteString(`${'d'.repeat(200)}/${'f'.repeat(200)}`);
    const list = [
      { entry: { ...plain, name: fromText('ünï'), size: 3 }, content: Buffer.from('abc') },
      { entry: { ...plain, name: asByteString('\xff\xfe'), mode: 0o4755 } },
      { entry: { ...plain, name: long, uid: 3_000_000_000, mtime: -5_000_000_000n } },
      { entry: { ...plain, name: asByteString('h'), kind: 'hard-link' as const, linkName: long } },
      { entry: { ...plain, name: asByteString('dir'), kind: 'folder' as const, mode: 0o1777 } },
      { entry: { ...plain, name: asByteString('null'), kind: 'character-device' as const, device: { major: 1, minor: 3 } } },
    ];
    writeFileSync(join(folder, 'a.tar'), archive(list));
    const listed = execFileSync('tar', ['--numeric-owner', '--quoting-style=literal', '-tvf', join(folder, 'a.tar')], {
      encoding: 'latin1',
      stdio: 'pipe',
    });
    assert.equal(listed.trim().split('\n').length, list.length);
    assert.match(listed, /-rwsr-xr-x 0\/0 +0 .* \xff\xfe/u);
    assert.match(listed, /0\/3000000000|3000000000\/0/u);
    const script = `import tarfile,sys
for m in tarfile.open(sys.argv[1], encoding='utf-8', errors='surrogateescape'):
  print(m.name.encode('utf-8','surrogateescape').hex(), m.type.decode(), m.mode, m.uid, m.size, int(m.mtime), m.devmajor, m.devminor)`;
    const python = execFileSync('python3', ['-c', script, join(folder, 'a.tar')], { encoding: 'utf8' });
    const expected = list.map(({ entry }) => {
      const type = ['file', 'hard-link', 'symlink', 'character-device', 'block-device', 'folder', 'fifo'].indexOf(entry.kind);
      const device = 'device' in entry && entry.device ? entry.device : { major: 0, minor: 0 };
      const seconds = Number(entry.mtime / 1_000_000_000n);
      return `${Buffer.from(bytesOf(entry.name)).toString('hex')} ${type} ${entry.mode} ${entry.uid} ${entry.size} ${seconds} ${device.major} ${device.minor}`;
    });
    assert.deepEqual(python.trim().split('\n'), expected);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('archives of GNU tar and Python are read: formats, sparse files, long names, attributes', { skip: !hasTools }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'jettison-tar-'));
  try {
    const source = join(folder, 'src');
    const long = 'n'.repeat(180);
    mkdirSync(source);
    writeFileSync(join(source, long), 'long');
    chmodSync(join(source, long), 0o600);
    linkSync(join(source, long), join(source, 'z'));
    symlinkSync('t'.repeat(150), join(source, 'link'));
    const file = openSync(join(source, 'sparse'), 'w');
    for (let at = 0; at < 30; at++) writeSync(file, 'x'.repeat(4096), at * 65_536);
    ftruncateSync(file, 3 << 20);
    closeSync(file);
    const sparse = readFileSync(join(source, 'sparse'));
    for (const format of [
      'gnu --sparse',
      'posix',
      ...['0.0', '0.1', '1.0'].map((version) => `posix --sparse --sparse-version=${version}`),
    ]) {
      const out = join(folder, 'o.tar');
      execFileSync('tar', [...`--sort=name --format=${format}`.split(' '), '-C', source, '-cf', out, '.']);
      const found = new Map(read(readFileSync(out), 7777).map((each) => [String(each.entry.name), each]));
      assert.deepEqual([...found.keys()], ['.', './link', `./${long}`, './sparse', './z'], format);
      assert.equal(found.get('./link')?.entry.linkName, 't'.repeat(150));
      assert.equal(found.get('./z')?.entry.linkName, `./${long}`);
      assert.equal(found.get(`./${long}`)?.entry.mode, 0o600);
      assert.ok(Buffer.from(found.get('./sparse')?.content ?? []).equals(sparse), format);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});
