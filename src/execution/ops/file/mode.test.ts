import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempDisposableSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { isCode } from '#ground/base/errors.ts';
import { parseMode } from './mode.ts';

test('octal modes replace all bits, null keeps them', () => {
  assert.equal(parseMode(0o4711)(0o644, false), 0o4711);
  assert.equal(parseMode(0)(0o644, true), 0);
  assert.equal(parseMode(null)(0o2755, true), 0o2755);
});

test('what is no mode is refused', () => {
  for (const text of ['', 'u', 'u=q', 'rwx', 'u+x,', 'a=ug', '+x g-w', '0o7', 'U+x']) {
    assert.throws(
      () => parseMode(text),
      (error) => isCode(error, 'ops/bad-mode'),
      text,
    );
  }
});

const who = fc.array(fc.constantFrom('u', 'g', 'o', 'a'), { maxLength: 3 }).map((letters) => letters.join(''));
const permissions = fc.oneof(
  fc.subarray(['r', 'w', 'x', 'X', 's', 't']).map((letters) => letters.join('')),
  fc.constantFrom('u', 'g', 'o'),
);
const step = fc.tuple(fc.constantFrom('+', '-', '='), permissions).map((parts) => parts.join(''));
const clause = fc.tuple(who, fc.array(step, { minLength: 1, maxLength: 2 })).map(([place, steps]) => place + steps.join(''));
const change = fc.array(clause, { minLength: 1, maxLength: 3 }).map((clauses) => clauses.join(','));

test('symbolic modes do what chmod(1) does without a umask', () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-mode-');
  const cases = fc.sample(fc.tuple(change, fc.integer({ min: 0, max: 0o7777 })), { numRuns: 50, seed: 7 });
  const script: string[] = ['umask 0'];
  for (const [index, [text, mode]] of cases.entries()) {
    const [file, inner] = [join(folder.path, `f${index}`), join(folder.path, `d${index}`)];
    writeFileSync(file, '');
    mkdirSync(inner);
    chmodSync(file, mode);
    chmodSync(inner, mode);
    script.push(`chmod -- '${text}' ${file} ${inner}`);
  }
  execFileSync('sh', ['-c', script.join('\n')]);
  for (const [index, [text, mode]] of cases.entries()) {
    const shown = `${text} on ${mode.toString(8)}`;
    const modeOf = (name: string) => (statSync(join(folder.path, name)).mode & 0o7777).toString(8);
    assert.equal(parseMode(text)(mode, false).toString(8), modeOf(`f${index}`), `${shown}, a file`);
    assert.equal(parseMode(text)(mode, true).toString(8), modeOf(`d${index}`), `${shown}, a folder`);
  }
});
