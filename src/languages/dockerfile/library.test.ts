import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createContext, runInContext } from 'node:vm';
import { rolldown } from 'rolldown';
import { lintDockerfile, parseDockerfile } from './library.ts';

const door = join(import.meta.dirname, 'library.ts');

test('the library runs where there is no Node', async () => {
  const bundle = await rolldown({ input: door, platform: 'browser', logLevel: 'silent' });
  const { output } = await bundle.generate({ format: 'iife', name: 'library' });
  await bundle.close();
  const [{ code, imports, moduleIds }] = output;
  assert.deepEqual(imports, []);
  assert.deepEqual(
    moduleIds.filter((id) => !id.includes('/src/')),
    [],
  );
  // No `process`, `Buffer`, `require`: only what the language itself has, and what browsers have, too.
  const context = createContext({ URL, TextDecoder, TextEncoder });
  runInContext(code, context);
  const text = JSON.stringify('FROM a AS B\nADD https://x/y /\nRUM x\n');
  const found: unknown = runInContext(
    `JSON.stringify([library.lintDockerfile(${text}).map((each) => each.rule), library.printDockerfile(library.parseDockerfile('from  a').dockerfile)])`,
    context,
  );
  assert.equal(found, '[["StageNameCasing","UnknownInstruction"],"from a\\n"]');
  runInContext(`library.lintDockerfile('FROM a\\nCOPY é /', { ignorePatterns: ['é'] })`, context);
  runInContext(`library.lintDockerfile('FROM scratch\\nADD https://x/y /\\nCOPY <<A /\\nA\\nRUN <<B\\n#!/bin/sh\\nB\\n')`, context);
});

test('the example of the manual prints what the manual says', () => {
  const page = readFileSync(join(import.meta.dirname, '../../../docs/library.md'), 'utf8');
  const [, script = '', printed = ''] = /```js\n([\s\S]*?)```\n\nprints\n\n```text\n([\s\S]*?)```/u.exec(page) ?? [];
  const folder = mkdtempSync(join(tmpdir(), 'jettison-manual-'));
  try {
    const file = join(folder, 'example.mjs');
    writeFileSync(file, script.replace("'jettison'", JSON.stringify(door)));
    assert.equal(execFileSync(process.execPath, [file], { encoding: 'utf8' }).trimEnd(), printed.trimEnd());
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('diagnostics have offsets, the page of the check, and what was meant', () => {
  const text = '\ufeffFROM a AS b\r\nRUM 😀\nRUN --mont=x y\n';
  const found = lintDockerfile(text).map(({ spans, rule, hint, url }) => ({
    at: spans.map(({ start, end }) => text.slice(start.offset, end.offset)),
    rule,
    hint,
    url,
  }));
  assert.deepEqual(found, [
    { at: ['RUM'], rule: 'UnknownInstruction', hint: 'Did you mean "RUN"?', url: undefined },
    { at: ['--mont=x'], rule: 'UnknownFlag', hint: 'Did you mean "--mount"?', url: undefined },
  ]);
  const [casing] = lintDockerfile('FROM a\nMAINTAINER me');
  assert.equal(casing?.url, 'https://docs.docker.com/go/dockerfile/rule/maintainer-deprecated/');
  assert.deepEqual(casing?.spans, [
    { file: 'Dockerfile', start: { line: 2, column: 1, offset: 7 }, end: { line: 2, column: 14, offset: 20 } },
  ]);
});

test('options: file name, platform, arguments, ignored files', () => {
  assert.equal(parseDockerfile('', { file: 'x' }).diagnostics[0]?.spans[0]?.file, 'x');
  assert.deepEqual(
    lintDockerfile('FROM a', { platform: 'a/b/c/d' }).map(({ rule, spans }) => [rule, spans]),
    [['BadOption', []]],
  );
  assert.deepEqual(
    lintDockerfile('FROM a\nCOPY x /', { ignorePatterns: ['x'] }).map(({ rule }) => rule),
    ['CopyIgnoredFile'],
  );
  assert.deepEqual(
    lintDockerfile('ARG A\nFROM $A', { buildArgs: { A: 'x' } }).map(({ rule }) => rule),
    ['InvalidDefaultArgInFrom'],
  );
  assert.deepEqual(
    lintDockerfile('FROM a\nRUN a', { target: 'gone' }).map(({ rule }) => rule),
    ['BuildError'],
  );
});
