import { test } from 'node:test';
import { plainProgram } from '#test/kit/elf.ts';
import assert from 'node:assert/strict';
import { asByteString, type ByteString } from '#ground/base/byte-string.ts';
import type { ElfFile } from '#formats/elf/read.ts';
import type { PayloadEntry } from './files.ts';
import { findLibraries, stockFor, type Libraries } from './libraries.ts';
import type { Look } from './look.ts';

type Made = Partial<ElfFile> & { readonly folders?: readonly string[]; readonly cache?: readonly string[]; readonly script?: string };

const loaderPath = '/lib64/ld-linux-x86-64.so.2';
const names = (...texts: readonly string[]): readonly ByteString[] => texts.map(asByteString);
const needing = (...needed: readonly string[]): Made => ({ needed: names(...needed) });
const program = (...needed: readonly string[]): Made => ({ ...needing(...needed), kind: 'program', interpreter: asByteString(loaderPath) });
const libc = (...versions: readonly string[]): Made => ({ versionsDefined: new Set(names(...versions)) });
const loader: Made = { versionsDefined: new Set(names('GLIBC_PRIVATE')), folders: ['/lib', '/usr/lib'] };

/** Trees of files that are read already; a text is a link to another path. */
function look(files: Readonly<Record<string, Made | string>>): Look {
  const made = (path: string): Made | undefined => {
    const one = files[`/${path}`];
    return typeof one === 'string' ? undefined : one;
  };
  const find = (path: ByteString): PayloadEntry | undefined => {
    const there = files[path];
    if (typeof there === 'string') return find(asByteString(there));
    return there && { path: asByteString(path.slice(1)), kind: 'file', mode: 0o755, uid: 0, gid: 0, size: 1 };
  };
  const cached = new Map<ByteString, ByteString[]>();
  for (const [path, one] of Object.entries(files))
    for (const name of typeof one === 'string' ? [] : (one.cache ?? [])) cached.set(asByteString(name), [asByteString(path)]);
  return {
    find,
    use: (_, read) => read({ size: 0, read: () => new Uint8Array(0) }),
    elf: ({ path }) => {
      const { script, ...elf } = made(path) ?? {};
      return script === undefined ? { ...nothing, ...elf } : { fault: 'not-elf' };
    },
    head: ({ path }) => asByteString(made(path)?.script ?? ''),
    text: () => undefined,
    mayName: () => true,
    loaderFolders: ({ path }) => names(...(made(path)?.folders ?? [])),
    cached: () => cached,
  };
}

const nothing: ElfFile = { ...plainProgram, kind: 'shared' };

type Trees = {
  readonly source: Readonly<Record<string, Made | string>>;
  readonly target?: Readonly<Record<string, Made | string>>;
  readonly from?: string;
  readonly to?: string;
  readonly environment?: readonly string[];
};

/** Found twice: in the whole source, and in what a key knows of it. */
function bring({ source, target = {}, from = '/app/run', to = from, environment = ['PATH=/bin'] }: Trees): Libraries {
  const whole = look(source);
  const wish = { source: whole, environment, workingDirectory: '/' };
  const programs = [{ path: asByteString(to), source: asByteString(from), isNamed: true }];
  const there = look({ ...target, [to]: source[from] ?? '' });
  const found = findLibraries({ ...wish, target: there, programs });
  const { files, cached } = stockFor(names(from), wish);
  const known: Look = { ...whole, find: (path) => files.get(path), text: () => undefined, cached: () => cached };
  assert.deepEqual(findLibraries({ ...wish, source: known, target: there, programs }), found, 'the key knows of all that is taken');
  return found;
}

const placesOf = ({ brought }: Libraries): readonly string[] => brought.map(({ source, destination }) => `${source} ${destination}`);
const missingIn = ({ faults }: Libraries): readonly string[] => faults.map(({ missing }) => missing);

test('a library goes where the loader of the program looks for it', () => {
  const source = { [loaderPath]: loader, '/lib/libc.so.6': {}, '/usr/lib/libq.so.1': '/opt/q-1.0', '/opt/q-1.0': needing('libc.so.6') };
  assert.deepEqual(placesOf(bring({ source: { ...source, '/app/run': program('libq.so.1') } })), [
    `${loaderPath} ${loaderPath}`,
    '/usr/lib/libq.so.1 /usr/lib/libq.so.1',
    '/lib/libc.so.6 /lib/libc.so.6',
  ]);
  const beside = { ...program('libq.so.1'), runpath: asByteString('$ORIGIN/../q') };
  const moved = bring({
    source: { [loaderPath]: loader, '/app/run': beside, '/app/../q/libq.so.1': {} },
    target: { [loaderPath]: loader },
    to: '/other/bin/run',
  });
  assert.deepEqual(placesOf(moved), ['/app/../q/libq.so.1 /other/bin/../q/libq.so.1']);
  const cached = { [loaderPath]: loader, '/app/run': program('libq.so.1'), '/usr/local/lib/libq.so.1': { cache: ['libq.so.1'] } };
  assert.deepEqual(placesOf(bring({ source: cached })).at(-1), '/usr/local/lib/libq.so.1 /usr/lib/libq.so.1', 'only ldconfig knows of it');
});

test('what the target has counts, but for a library that is too old for the program', () => {
  const needs = { library: asByteString('libc.so.6'), versions: [{ name: asByteString('GLIBC_2.38'), isWeak: false }] };
  const source = {
    [loaderPath]: loader,
    '/app/run': { ...program('libc.so.6'), versionsNeeded: [needs] },
    '/lib/libc.so.6': libc('GLIBC_2.2.5', 'GLIBC_2.38'),
  };
  const same = bring({ source, target: { [loaderPath]: loader, '/usr/lib/libc.so.6': libc('GLIBC_2.38') } });
  assert.deepEqual([same.brought, same.faults], [[], []]);
  const old = bring({ source, target: { [loaderPath]: loader, '/usr/lib/libc.so.6': libc('GLIBC_2.36') } });
  assert.deepEqual([placesOf(old), missingIn(old)], [[], ['GLIBC_2.38']]);
  assert.equal(old.faults[0]?.isProgram, true);
});

test('a script brings its interpreter, with what that needs', () => {
  const source = {
    [loaderPath]: loader,
    '/app/run': { script: '#!/usr/bin/env bash\n' },
    '/usr/bin/env': program(),
    '/bin/bash': program('libtinfo.so.6'),
    '/lib/libtinfo.so.6': {},
  };
  assert.deepEqual(
    bring({ source }).brought.map(({ destination }) => destination),
    ['/usr/bin/env', loaderPath, '/bin/bash', '/lib/libtinfo.so.6'],
  );
  assert.deepEqual(missingIn(bring({ source: { '/app/run': { script: '#!/bin/nothing\n' } } })), ['/bin/nothing']);
});

test('hostile programs: libraries that need each other in a circle, and names that are paths, come to an end', () => {
  const source = {
    [loaderPath]: loader,
    '/app/run': program('liba.so', '..', '../../etc/passwd', ''),
    '/lib/liba.so': needing('libb.so'),
    '/lib/libb.so': needing('liba.so', 'libb.so'),
  };
  const found = bring({ source, target: { [loaderPath]: loader } });
  assert.deepEqual(placesOf(found), ['/lib/liba.so /lib/liba.so', '/lib/libb.so /lib/libb.so']);
  assert.deepEqual(missingIn(found), ['..', '../../etc/passwd', '']);
});
