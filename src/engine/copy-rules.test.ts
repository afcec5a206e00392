import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isCode } from '#ground/base/errors.ts';
import { cleanPath, parseCopyArgument, planCopy, sourceName, splitPath } from './copy-rules.ts';

const file = (path: string) => ({ path, isFolder: false });
const folder = (path: string) => ({ path, isFolder: true });
const missing = (path: string) => ({ path, exists: false, isFolder: false });
const thereFile = (path: string) => ({ path, exists: true, isFolder: false });
const thereFolder = (path: string) => ({ path, exists: true, isFolder: true });

test('the eight rules of docker cp', () => {
  // A file: to a new name, to a new name that says it is a folder, over a file, into a folder.
  assert.deepEqual(planCopy(file('/s/f'), missing('/d/new')), { folder: '/d', name: 'new' });
  assert.throws(
    () => planCopy(file('/s/f'), missing('/d/new/')),
    (error) => isCode(error, 'engine/no-such-folder'),
  );
  assert.deepEqual(planCopy(file('/s/f'), thereFile('/d/old')), { folder: '/d', name: 'old' });
  assert.deepEqual(planCopy(file('/s/f'), thereFolder('/d')), { folder: '/d', name: 'f' });
  // A folder: to a new name, over a file, into a folder, and its content into one.
  assert.deepEqual(planCopy(folder('/s/b'), missing('/d/new')), { folder: '/d', name: 'new' });
  assert.deepEqual(planCopy(folder('/s/b'), missing('/d/new/')), { folder: '/d', name: 'new' });
  assert.throws(
    () => planCopy(folder('/s/b'), thereFile('/d/old')),
    (error) => isCode(error, 'engine/cannot-copy-folder'),
  );
  assert.deepEqual(planCopy(folder('/s/b'), thereFolder('/d')), { folder: '/d', name: 'b' });
  assert.deepEqual(planCopy(folder('/s/b/.'), thereFolder('/d')), { folder: '/d', name: '.' });
  assert.deepEqual(planCopy(folder('/s/b/.'), missing('/d/new')), { folder: '/d', name: 'new' });
});

test('ends of paths are kept, and the root has no name', () => {
  for (const [given, from, clean] of [
    ['a', '/w', '/w/a'],
    ['./a/', '/w', '/w/a/'],
    ['.', '/w', '/w/.'],
    ['..', '/w/x', '/w'],
    ['a/..', '/w', '/w'],
    ['/a//b/../c/.', '/', '/a/c/.'],
    ['/', '/', '/'],
    ['/.', '/', '/.'],
    ['../../..', '/w', '/'],
    ['a/.hidden', '/w', '/w/a/.hidden'],
  ] as const)
    assert.equal(cleanPath(given, from), clean, given);
  assert.deepEqual(splitPath('/a/b/'), { folder: '/a', name: 'b' });
  assert.deepEqual(splitPath('/a/b/.'), { folder: '/a/b', name: '.' });
  assert.deepEqual(splitPath('/'), { folder: '/', name: '/' });
  assert.deepEqual(splitPath('/.hidden'), { folder: '/', name: '.hidden' });
  assert.deepEqual(
    ['/', '/.', '/a/.', '/a/b', '/a/b/'].map((path) => sourceName({ path })),
    ['.', '.', '.', 'b', 'b'],
  );
});

test('what is of a container and what of this machine', () => {
  assert.deepEqual(parseCopyArgument('c:/a:b'), { container: 'c', path: '/a:b' });
  for (const local of ['/a:b', './a:b', '../a:b', 'ab', '-', ':a']) assert.equal(parseCopyArgument(local).container, undefined, local);
  assert.deepEqual(parseCopyArgument('c:'), { container: 'c', path: '' });
});
