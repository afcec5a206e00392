import { test } from 'node:test';
import assert from 'node:assert/strict';
import { isCode } from '#ground/base/errors.ts';
import { matchPlatform, nativePlatform, normalPlatform, parsePlatform, printPlatform, type Platform } from './platform.ts';

const native = nativePlatform('x64');
const entry = (text: string): { platform: Platform } => {
  const [os = '', architecture = '', variant] = text.split('/');
  return { platform: { os, architecture, ...(variant === undefined ? {} : { variant }) } };
};

test('platforms have one spelling', () => {
  const cases = {
    'linux/amd64': 'linux/amd64',
    'linux/x86_64': 'linux/amd64',
    'Linux/AMD64/v1': 'linux/amd64',
    'linux/amd64/v3': 'linux/amd64/v3',
    'linux/arm64/v8': 'linux/arm64',
    'linux/aarch64': 'linux/arm64',
    'linux/arm': 'linux/arm/v7',
    'linux/arm/6': 'linux/arm/v6',
    'linux/armhf': 'linux/arm/v7',
    'linux/i386': 'linux/386',
    arm64: 'linux/arm64',
    linux: 'linux/amd64',
    riscv64: 'linux/riscv64',
    windows: 'windows/amd64',
    macOS: 'darwin/amd64',
  };
  for (const [typed, printed] of Object.entries(cases)) assert.equal(printPlatform(parsePlatform(typed, native)), printed, typed);
  assert.equal(printPlatform(nativePlatform('arm64')), 'linux/arm64');
  for (const bad of ['', 'a/b/c/d', 'linux/', 'linux/a b', '../x', 'linux\n/amd64', 'amd46', 'constructor']) {
    assert.throws(
      () => parsePlatform(bad, native),
      (error) => isCode(error, 'oci/invalid-platform'),
    );
  }
});

test('the best entry of an index is taken as containerd takes it', () => {
  const best = (wanted: string, ...offered: string[]): string[] =>
    matchPlatform(offered.map(entry), normalPlatform(entry(wanted).platform)).map(({ platform }) => printPlatform(platform));
  assert.deepEqual(best('linux/amd64', 'linux/386', 'linux/arm64', 'unknown/unknown', 'linux/amd64'), ['linux/amd64', 'linux/386']);
  assert.deepEqual(best('linux/arm/v7', 'linux/arm/v5', 'linux/arm/v8', 'linux/arm/v6', 'linux/arm/v7'), [
    'linux/arm/v7',
    'linux/arm/v6',
    'linux/arm/v5',
  ]);
  assert.deepEqual(best('linux/arm64', 'linux/arm/v7', 'linux/arm64/v8'), ['linux/arm64/v8', 'linux/arm/v7']);
  assert.deepEqual(best('linux/amd64/v3', 'linux/amd64', 'linux/amd64/v2', 'linux/amd64/v4'), ['linux/amd64/v2', 'linux/amd64']);
  assert.deepEqual(best('linux/s390x', 'linux/amd64'), []);
  assert.deepEqual(matchPlatform([{}, entry('linux/amd64')], native), [entry('linux/amd64'), {}]);
});
