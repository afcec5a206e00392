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
  for (const text of ['', 'u', 'u=q', 'rwx', 'u+x,', '+x g-w', ',', 'u+x,,o=r', '0o7', 'U+x']) {
    assert.throws(
      () => parseMode(text),
      (error) => isCode(error, 'ops/bad-mode'),
      text,
    );
  }
});

/** A change, and what BuildKit made with it of files of mode 7777, 0644 and 0751 and of folders of mode 7777 and 0700. */
const changed: readonly (readonly [change: string, modes: string])[] = [
  ['u+t', '7777 1644 1751 7777 1700'],
  ['o+s', '7777 0644 0751 7777 0700'],
  ['g+t', '7777 1644 1751 7777 1700'],
  ['a=s', '7000 6000 6000 7000 6000'],
  ['a=', '1000 0000 0000 1000 0000'],
  ['u=', '3077 0044 0051 3077 0000'],
  ['g=,o=t', '5700 0600 0700 5700 0700'],
  ['u=s', '7077 4044 4051 7077 4000'],
  ['g=s', '7707 2604 2701 7707 2700'],
  ['o=t', '7770 0640 0750 7770 0700'],
  ['u+s,u=rwx', '3777 0744 0751 3777 0700'],
  ['g+s,g=r', '5747 0644 0741 5747 0740'],
  ['a+t,o=r', '7774 1644 1754 7774 1704'],
  ['a+st,a=', '1000 1000 1000 1000 1000'],
  ['+s', '7777 6644 6751 7777 6700'],
  ['-s', '1777 0644 0751 1777 0700'],
  ['+t', '7777 1644 1751 7777 1700'],
  ['u=g', '7777 0444 0551 7777 0000'],
  ['g=o', '7777 0644 0711 7777 0700'],
  ['o=u', '7777 0646 0757 7777 0707'],
  ['a+X,a-x', '7666 0644 0640 7666 0600'],
  ['=r', '1444 0444 0444 1444 0444'],
  ['=', '1000 0000 0000 1000 0000'],
  ['u-x+X', '7777 0644 0751 7777 0700'],
  ['a-x,+X', '7777 0644 0751 7777 0711'],
  ['u=rwX,g=u,o=X', '3771 0660 0771 3771 0771'],
  ['u=x,g+X', '3177 0144 0151 3177 0110'],
  ['go=X-r', '5711 0600 0711 5711 0711'],
  ['+w', '7777 0666 0773 7777 0722'],
  ['=rw', '1666 0666 0666 1666 0666'],
  ['-r', '7333 0200 0311 7333 0300'],
  ['=rwX', '1777 0666 0777 1777 0777'],
  ['-X', '7666 0644 0640 7666 0600'],
  ['a-X', '7666 0644 0640 7666 0600'],
  ['a=X', '1111 0000 0111 1111 0111'],
  ['=u', '7777 0666 0777 7777 0777'],
  ['+g', '7777 0644 0755 7777 0700'],
  ['a=u-w', '7555 0444 0555 7555 0555'],
  ['a=rwxst', '7777 7777 7777 7777 7777'],
  ['uo+t,o-t', '7777 1644 1751 7777 1700'],
  ['u=rwx,g=g,o=', '3770 0740 0750 3770 0700'],
  ['u+rwx-x', '7677 0644 0651 7677 0600'],
  ['a=rX', '1555 0444 0555 1555 0555'],
  ['o+st', '7777 0644 0751 7777 0700'],
  ['-t', '6777 0644 0751 6777 0700'],
];

test('symbolic modes do what they do in BuildKit', () => {
  for (const [change, modes] of changed) {
    const apply = parseMode(change);
    const files = [0o7777, 0o644, 0o751].map((mode) => apply(mode, false));
    const folders = [0o7777, 0o700].map((mode) => apply(mode, true));
    assert.equal([...files, ...folders].map((mode) => mode.toString(8).padStart(4, '0')).join(' '), modes, change);
  }
});

const who = fc.array(fc.constantFrom('u', 'g', 'o', 'a'), { maxLength: 3 }).map((letters) => letters.join(''));
const permissions = fc.oneof(
  fc.subarray(['r', 'w', 'x']).map((letters) => letters.join('')),
  fc.constantFrom('u', 'g', 'o'),
);
const step = fc.tuple(fc.constantFrom('+', '-', '='), permissions).map((parts) => parts.join(''));
const clause = fc.tuple(who, fc.array(step, { minLength: 1, maxLength: 2 })).map(([place, steps]) => place + steps.join(''));
const change = fc.array(clause, { minLength: 1, maxLength: 3 }).map((clauses) => clauses.join(','));

test('without X, s and t, symbolic modes do what GNU chmod does without a umask', () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-mode-');
  const cases = fc.sample(fc.tuple(change, fc.integer({ min: 0, max: 0o777 })), { numRuns: 50, seed: 7 });
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
