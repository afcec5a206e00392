import { test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { refusedFormat } from './program-format.ts';

function elf(machine: number): Uint8Array {
  const head = new Uint8Array(64);
  head.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  new DataView(head.buffer).setUint16(18, machine, true);
  return head;
}

test('what no kernel starts is told from what one may be told to start', () => {
  const folder = mkdtempSync(join(tmpdir(), 'jettison-formats-'));
  try {
    const [nowhere, mounted] = [join(folder, 'nowhere'), join(folder, 'mounted')];
    mkdirSync(mounted);
    for (const name of ['status', 'register']) writeFileSync(join(mounted, name), 'enabled\n');
    const text = new TextEncoder().encode('echo hällo\n');
    const bytes = Uint8Array.of(0xca, 0xfe, 0xba, 0xbe, 0, 0, 0);
    const native = elf(process.arch === 'x64' ? 62 : 183);
    const other = elf(process.arch === 'x64' ? 183 : 62);
    for (const place of [nowhere, mounted]) {
      assert.equal(refusedFormat(native, place), undefined);
      assert.equal(refusedFormat(new TextEncoder().encode('#!/bin/sh\n'), place), undefined);
      assert.equal(refusedFormat(new Uint8Array(0), place), 'is empty');
      assert.equal(refusedFormat(text, place), 'is a text that does not begin with "#!"');
      assert.equal(refusedFormat(elf(process.arch === 'x64' ? 3 : 40), place), undefined, 'of 32 bits: the kernel may');
    }
    // Where it is not seen, an emulator may be registered all the same.
    assert.deepEqual([refusedFormat(other, nowhere), refusedFormat(bytes, nowhere)], [undefined, undefined]);
    assert.equal(refusedFormat(new TextEncoder().encode('MZ'), nowhere), undefined);
    assert.match(refusedFormat(other, mounted) ?? '', /^is a program for \S+, this machine is \S+, and no emulator is registered$/u);
    assert.match(refusedFormat(bytes, mounted) ?? '', /^is neither/u);
    writeFileSync(join(mounted, 'jar'), 'disabled\ninterpreter /usr/bin/java\n');
    assert.match(refusedFormat(bytes, mounted) ?? '', /^is neither/u);
    writeFileSync(join(mounted, 'qemu'), 'enabled\ninterpreter /usr/bin/qemu\n');
    assert.deepEqual([refusedFormat(other, mounted), refusedFormat(bytes, mounted)], [undefined, undefined]);
    writeFileSync(join(mounted, 'status'), 'disabled\n');
    assert.match(refusedFormat(other, mounted) ?? '', /no emulator is registered$/u, 'all of it is switched off');
  } finally {
    rmSync(folder, { recursive: true });
  }
});
