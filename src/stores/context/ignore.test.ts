import assert from 'node:assert/strict';
import { mkdirSync, mkdtempDisposableSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fromText } from '#ground/base/byte-string.ts';
import { isCode } from '#ground/base/errors.ts';
import { AT_FDCWD, fileTypes, makeNodeAt } from '#ground/linux/syscall.ts';
import { parseIgnoreFile, readIgnoreFile } from './ignore.ts';
import { readContextFile } from './read-file.ts';

test('an ignore file is read line by line', () => {
  const text = '# comment\r\n\n  a/b/ \r\n #not a comment\n! ./c\n/d\n\\#e\n!\u{a0}/f//g\n';
  assert.deepEqual(parseIgnoreFile(text, '.dockerignore').patterns, ['a/b', '#not a comment', '!c', 'd', '\\#e', '!f/g']);
  assert.throws(
    () => parseIgnoreFile('ok\nroot:x:[\n', '.dockerignore'),
    (error) => isCode(error, 'context/bad-ignore-file') && error.message.includes('line 2') && !error.message.includes('root:x'),
  );
  assert.throws(
    () => parseIgnoreFile('!\n', 'x'),
    (error) => isCode(error, 'context/bad-ignore-file'),
  );
  assert.throws(
    () => parseIgnoreFile('a\n'.repeat(10_001), 'x'),
    (error) => isCode(error, 'context/bad-ignore-file'),
  );
});

test("a Dockerfile's own ignore file goes before the context's", () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-ignore-');
  const context = join(folder.path, 'context');
  mkdirSync(join(context, 'docker'), { recursive: true });
  const read = (dockerfile: string) => readIgnoreFile({ folder: context, dockerfile: join(context, dockerfile) });
  assert.equal(read('Dockerfile'), undefined);
  writeFileSync(join(context, '.dockerignore'), '\u{feff}general');
  assert.deepEqual(read('Dockerfile'), { name: '.dockerignore', patterns: ['general'], lines: [1] });
  writeFileSync(join(context, 'docker/app.Dockerfile.dockerignore'), 'special');
  assert.deepEqual(read('docker/app.Dockerfile'), { name: 'docker/app.Dockerfile.dockerignore', patterns: ['special'], lines: [1] });
  assert.deepEqual(read('docker/Dockerfile')?.patterns, ['general']);
  writeFileSync(join(folder.path, 'Dockerfile.dockerignore'), 'outside');
  assert.deepEqual(read('../Dockerfile'), { name: 'Dockerfile.dockerignore', patterns: ['outside'], lines: [1] });
});

test('a fifo, a folder, a huge file or a link out of the context is refused, not read', () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-ignore-');
  writeFileSync(join(folder.path, 'secret'), 'secret');
  const make = (name: string, plant: (path: string) => void) => {
    const context = join(folder.path, name);
    mkdirSync(context);
    plant(join(context, '.dockerignore'));
    return () => readIgnoreFile({ folder: context, dockerfile: join(context, 'Dockerfile') });
  };
  refused(
    make('fifo', (path) => makeNodeAt(AT_FDCWD, fromText(path), { type: fileTypes.fifo, mode: 0o644 })),
    'linux/not-a-file',
  );
  refused(
    make('folder', (path) => mkdirSync(path)),
    'linux/not-a-file',
  );
  refused(
    make('huge', (path) => writeFileSync(path, new Uint8Array(1024 * 1024 + 1))),
    'linux/too-large',
  );
  refused(
    make('relative', (path) => symlinkSync('../secret', path)),
    'context/broken-link',
  );
  refused(
    make('absolute', (path) => symlinkSync('/etc/passwd', path)),
    'context/broken-link',
  );
  refused(
    make('loop', (path) => symlinkSync('.dockerignore', path)),
    'linux/symlink-loop',
  );
  const inside = make('inside', (path) => {
    writeFileSync(`${path}.real`, 'x');
    symlinkSync('/.dockerignore.real', path);
  });
  assert.deepEqual(inside()?.patterns, ['x']);
});

function refused(read: () => unknown, code: string): void {
  assert.throws(read, (error) => isCode(error, code));
}

test('files of a folder are read inside it', () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-ignore-');
  mkdirSync(join(folder.path, 'in/sub'), { recursive: true });
  writeFileSync(join(folder.path, 'Dockerfile'), 'outside');
  writeFileSync(join(folder.path, 'in/sub/Dockerfile'), 'FROM scratch');
  symlinkSync('sub', join(folder.path, 'in/link'));
  const read = (path: string) => {
    const bytes = readContextFile(join(folder.path, 'in'), path, 100);
    return bytes && new TextDecoder().decode(bytes);
  };
  assert.equal(read('sub/Dockerfile'), 'FROM scratch');
  assert.equal(read('./link//Dockerfile'), 'FROM scratch');
  assert.equal(read('../Dockerfile'), undefined);
  assert.equal(read('Dockerfile'), undefined);
  assert.throws(
    () => readContextFile(join(folder.path, 'in'), 'sub/Dockerfile', 3),
    (error) => isCode(error, 'linux/too-large'),
  );
});
