import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { asByteString } from '#ground/base/byte-string.ts';
import { paged, type FileBytes } from './file-bytes.ts';
import { startsOn } from './machines.ts';
import { readElf, type ElfFile } from './read.ts';

function fileOf(bytes: Uint8Array): FileBytes {
  return {
    size: bytes.length,
    read: (offset, length) => bytes.subarray(Math.min(offset, bytes.length), Math.min(offset + length, bytes.length)),
  };
}

function program(): Uint8Array {
  return readFileSync(process.execPath).subarray(0, 1 << 20);
}

test('the program that runs this says which loader and libraries it has', () => {
  const bytes = readFileSync(process.execPath);
  const elf = readElf(fileOf(bytes));
  assert.ok(!('fault' in elf));
  assert.match(elf.interpreter ?? '', /^\/lib(?:64)?\/ld-/u);
  assert.ok(elf.needed.some((name) => name.startsWith('libc.')));
  const versions = elf.versionsNeeded.find(({ library }) => library.startsWith('libc.'))?.versions ?? [];
  assert.ok(versions.some(({ name }) => /^GLIBC_2\.\d+$/u.test(name)));
  assert.equal(startsOn(process.arch === 'x64' ? 'amd64' : process.arch, elf.machine), 'yes');
});

test('what is cut off or overwritten is broken or says less, and never throws', () => {
  const bytes = program();
  for (const length of [0, 3, 4, 16, 51, 63, 64, 100, 1000, 5000]) assert.doesNotThrow(() => readElf(fileOf(bytes.subarray(0, length))));
  assert.deepEqual(readElf(fileOf(new TextEncoder().encode('#!/bin/sh\n'))), { fault: 'not-elf' });
  assert.deepEqual(readElf(fileOf(bytes.subarray(0, 100))), { fault: 'broken' });
  for (let at = 0; at < 2048; at += 3) {
    const damaged = Uint8Array.from(bytes.subarray(0, 8192));
    damaged.fill(0xff, at, at + 5);
    assert.doesNotThrow(() => readElf(fileOf(damaged)));
  }
});

/** A 32-bit big-endian program with one segment: its loader. */
function small(): Uint8Array {
  const bytes = new Uint8Array(256);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 1, 2, 1]);
  view.setUint16(16, 2);
  view.setUint16(18, 20);
  view.setUint32(28, 52);
  view.setUint16(42, 32);
  view.setUint16(44, 1);
  view.setUint32(52, 3);
  view.setUint32(56, 100);
  view.setUint32(68, 8);
  bytes.set(new TextEncoder().encode('/lib/ld\0'), 100);
  return bytes;
}

test('width and byte order are the file’s own', () => {
  const elf = readElf(fileOf(small()));
  const expected: Partial<ElfFile> = {
    machine: 20,
    bits: 32,
    isLittleEndian: false,
    kind: 'program',
    interpreter: asByteString('/lib/ld'),
  };
  assert.deepEqual({ ...elf, ...expected }, elf);
});

test('a file read by pages has the bytes of the file, wherever they are asked for', () => {
  const bytes = Uint8Array.from({ length: 100_000 }, (_, index) => (index * 7) % 251);
  const pages = paged(fileOf(bytes));
  for (const [offset, length] of [
    [0, 4],
    [16_380, 10],
    [0, 100_000],
    [99_990, 100],
    [50_000, 40_000],
  ] as const)
    assert.deepEqual(pages.read(offset, length), bytes.slice(offset, Math.min(offset + length, bytes.length)));
  assert.equal(pages.read(100_000, 1).length + pages.read(-1, 4).length + pages.read(2 ** 60, 4).length, 0);
});
