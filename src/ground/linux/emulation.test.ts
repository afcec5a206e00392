import { test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findEmulators, installedEmulator, isEmulationMounted } from './emulation.ts';

/** What the kernel prints of a registration. */
function registration(magic: string, { state = 'enabled', flags = 'OCF' } = {}): string {
  return `${state}\ninterpreter /usr/libexec/qemu\nflags: ${flags}\noffset 0\nmagic ${magic}\nmask ${'ff'.repeat(20)}\n`;
}

const arm64 = '7f454c460201010000000000000000000200b700';

test('registrations are found by what they match, not by their names; those that are off do not count', () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'jettison-binfmt-'));
  const write = (name: string, text: string): void => writeFileSync(join(folder.path, name), text);
  assert.equal(isEmulationMounted(folder.path), false);
  assert.equal(findEmulators(folder.path).size, 0);
  write('status', 'enabled\n');
  write('register', '');
  write('any-name', registration(arm64));
  write('no-root', registration('7f454c460101010000000000000000000200 2800'.replace(' ', ''), { flags: 'OC' }));
  write('big', registration('7f454c4602020100000000000000000000020016'));
  write('off', registration('7f454c460201010000000000000000000200f300', { state: 'disabled' }));
  write('python3.13', 'enabled\ninterpreter /usr/bin/python3.13\nflags:\noffset 0\nmagic f30d0d0a\n');
  const found = findEmulators(folder.path);
  assert.deepEqual([...found.keys()].toSorted(), ['arm', 'arm64', 's390x']);
  assert.deepEqual(found.get('arm64'), { architecture: 'arm64', name: 'any-name', interpreter: '/usr/libexec/qemu', isFixed: true });
  assert.equal(found.get('arm')?.isFixed, false);
  write('status', 'disabled\n');
  assert.equal(findEmulators(folder.path).size, 0);
});

test('an emulator that is installed is found by its static name first', () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'jettison-binfmt-'));
  assert.equal(installedEmulator('arm64', folder.path), undefined);
  writeFileSync(join(folder.path, 'qemu-aarch64'), '');
  assert.equal(installedEmulator('arm64', `:${folder.path}`), join(folder.path, 'qemu-aarch64'));
  writeFileSync(join(folder.path, 'qemu-aarch64-static'), '');
  assert.equal(installedEmulator('arm64', folder.path), join(folder.path, 'qemu-aarch64-static'));
  assert.equal(installedEmulator('unheard-of', folder.path), undefined);
});
