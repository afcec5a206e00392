import assert from 'node:assert/strict';
import { test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { cacheKey, contentKeyOf } from '#execution/cache/key.ts';
import { digestOf } from '#ground/base/digest.ts';
import { isCode } from '#ground/base/errors.ts';
import { decodeMemory, encodeMemory, memoryLimits, type MemoryStep, type StepMemory } from './memory.ts';

const content = contentKeyOf(digestOf('files'));
const list = (count: number): readonly string[] =>
  Array.from({ length: count }, (_, index) =>
    [`src/f${index}`, 'file', '644', '0:0', '', '', '', digestOf(`${index}`).slice(7, 23), '', '7'].join('\0'),
  );

function stepOf(text: string): MemoryStep {
  const base = digestOf(text);
  const inputs = [{ content }];
  const key = cacheKey({ base, inputs });
  return {
    key,
    recordKey: key,
    text,
    written: text,
    stage: 'build',
    step: 1,
    base,
    op: { kind: 'file', base: null, actions: [] },
    inputs,
    contents: [content],
    argumentNames: [],
    variables: { MODE: 'fast' },
    platform: 'linux/amd64',
    cost: 0,
    log: null,
    isPart: false,
  };
}

const memory: StepMemory = {
  mode: 'max',
  steps: [stepOf('COPY src /src'), stepOf('COPY src /other')],
  files: new Map([[content, list(3)]]),
};

function packed(head: unknown, rest = ''): Uint8Array {
  return zstdCompressSync(`${JSON.stringify(head)}\n${rest}`);
}

test('what a cache tells comes back as it was', () => {
  const bytes = encodeMemory(memory, memoryLimits.cache);
  assert.ok(bytes !== undefined);
  assert.deepEqual(decodeMemory(bytes, 'cache'), memory);
  assert.deepEqual(encodeMemory(memory, memoryLimits.cache), bytes);
});

test('the largest lists are left out where there is no room, then all of it', () => {
  const other = contentKeyOf(digestOf('many files'));
  const large: StepMemory = {
    ...memory,
    files: new Map([
      [other, list(20_000)],
      [content, list(3)],
    ]),
  };
  const bytes = encodeMemory(large, memoryLimits.image);
  assert.ok(bytes !== undefined && bytes.length <= memoryLimits.image);
  assert.deepEqual([...(decodeMemory(bytes, 'cache')?.files.keys() ?? [])], [content]);
  assert.equal(encodeMemory(memory, 100), undefined);
});

test('hostile: what is no memory is refused, what lies is left out', () => {
  const refused = [
    new TextEncoder().encode('no zstd'),
    zstdCompressSync('no JSON\n'),
    // A bomb: far more than may be unpacked.
    zstdCompressSync(Buffer.alloc(65 * 1024 * 1024)),
    new Uint8Array(memoryLimits.cache + 1),
    packed({ version: 1, mode: 'max', steps: 'many', files: [] }),
    packed({ version: 1, mode: 'max', steps: [], files: [[content, 5]] }, 'abc'),
    packed({ version: 1, mode: 'max', steps: [], files: [['../../etc', 0]] }),
    packed({ version: 1, mode: 'max', steps: [], files: [[content, 2_000_000]] }, '\n'.repeat(2_000_000)),
    zstdCompressSync(
      `{"version":1,"mode":"max","files":[],"steps":[{"isPart":false,"op":${'['.repeat(100_000)}${']'.repeat(100_000)}}]}\n`,
    ),
  ];
  for (const bytes of refused)
    assert.throws(
      () => decodeMemory(bytes, 'cache'),
      (error) => isCode(error, 'builds/bad-memory'),
    );
  assert.equal(decodeMemory(packed({ version: 2 }), 'cache'), undefined);
  const [honest] = memory.steps;
  assert.ok(honest !== undefined);
  const lies = [
    { ...honest, base: digestOf('another op') },
    { ...honest, text: 7 },
    { ...honest, variables: { LONG: 'x'.repeat(2_000_000) } },
    { isPart: false },
  ];
  const read = decodeMemory(
    packed({ version: 1, mode: 'min', steps: [...lies, { ...honest, log: '../../etc/passwd' }], files: [] }),
    'cache',
  );
  assert.deepEqual(read?.steps, [honest]);
});
