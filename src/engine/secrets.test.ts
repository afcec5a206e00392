import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { digestOf } from '#ground/base/digest.ts';
import { isCode } from '#ground/base/errors.ts';
import { createSecretGuard } from './secret-guard.ts';
import { readSecrets } from './secrets.ts';

function printed(values: readonly string[], chunks: readonly string[]): string {
  let all = '';
  const guard = createSecretGuard(new Set(), () => new Map());
  guard.watch(values.map((value, index) => ({ id: String(index), bytes: new TextEncoder().encode(value) })));
  const hiding = guard.hideOutput((event) => {
    if (event.kind === 'output') all += event.text;
  });
  for (const text of chunks) hiding.report({ kind: 'output', vertex: digestOf('v'), stream: 'stdout', text, time: 0 });
  hiding.flush();
  return all;
}

test('values are hidden wherever the output is cut', () => {
  const text = 'a hunter2 b hunter2';
  for (let cut = 0; cut <= text.length; cut++) {
    assert.equal(printed(['hunter2\n'], [text.slice(0, cut), text.slice(cut)]), 'a *** b ***');
  }
  assert.equal(printed(['hunter2'], Array.from(text)), 'a *** b ***');
  assert.equal(printed(['hunter2'], ['hunt', 'ing']), 'hunting', 'nothing is lost');
  assert.equal(printed(['first line of it\nx\nsecond line of it'], ['>', 'second line', ' of it x']), '>*** x');
  assert.equal(printed(['abcd', 'abcdefg'], ['abcdefg abcd']), '*** ***');
  assert.equal(printed(['no'], ['no']), 'no', 'too short to hide');
});

test('secrets are read from files up to a limit', () => {
  const folder = mkdtempSync(join(tmpdir(), 'jettison-secrets-'));
  try {
    writeFileSync(join(folder, 'good'), 'v'.repeat(500 * 1024));
    writeFileSync(join(folder, 'large'), 'v'.repeat(500 * 1024 + 1));
    const read = (name: string): number | undefined =>
      readSecrets(new Map([['s', { kind: 'file', path: join(folder, name) }]])).get('s')?.length;
    assert.equal(read('good'), 500 * 1024);
    for (const [name, why] of Object.entries({ large: 'more than 512000 bytes', missing: 'ENOENT', '.': 'is a folder' })) {
      assert.throws(
        () => read(name),
        (error) => isCode(error, 'engine/bad-secret') && error.message.includes(why) && error.message.split('Cannot').length === 2,
        name,
      );
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('secrets of variables have the same limit', () => {
  for (const length of [500 * 1024, 500 * 1024 + 1]) {
    const read = () => readSecrets(new Map([['s', { kind: 'value', value: new Uint8Array(length) }]])).get('s')?.length;
    if (length === 500 * 1024) assert.equal(read(), length);
    else assert.throws(read, { code: 'engine/bad-secret' });
  }
});
