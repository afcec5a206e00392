/**
 * What an exported cache tells of the build that wrote it, so that another store can say why a step runs: the parts of each step's key, and the
 * files behind content digests. One zstd frame: a line of JSON, then the lists of files one behind the other. It comes from outside when it is read.
 */
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import * as v from 'valibot';
import { cacheKey, parseCacheKey, type CacheKey } from '#execution/cache/key.ts';
import { joinBytes } from '#ground/base/bytes.ts';
import { checkShape, parseJson, type Document } from '#ground/base/decode.ts';
import { isDigest, type Digest } from '#ground/base/digest.ts';
import { JettisonError, messageOf } from '#ground/base/errors.ts';
import { printFileList, readFileList, type FileList } from '#stores/context/file-list.ts';
import type { EarlierBuild } from './nearest.ts';
import { toStepKey, type StepKey } from './step-key.ts';

/** `isPart`: of the two steps of one instruction the one that is not shown. */
export type MemoryStep = StepKey & { readonly isPart: boolean };

export type StepMemory = {
  /** Which results the cache has: those of all steps, or the image's own layers only. */
  readonly mode: 'min' | 'max';
  readonly steps: readonly MemoryStep[];
  /** By content digest. */
  readonly files: ReadonlyMap<CacheKey, FileList>;
};

/** Bytes of a memory as it is kept in a cache, and in an image, whose config is read far more often. */
export const memoryLimits = { cache: 16 * 1024 * 1024, image: 12 * 1024 } as const;
/** Bytes when it is unpacked, of one step, lines of its lists. */
const [mostBytes, mostInStep, mostLines] = [64 * 1024 * 1024, 1024 * 1024, 1_000_000];
const mostSteps = 20_000;
/** Changes when the members mean something else: what has another number tells nothing. */
const version = 1;
const newline = 0x0a;

/** Of the lists of files the largest are left out when it would be longer than `limit` bytes; undefined when even without any it is. */
export function encodeMemory({ mode, steps, files }: StepMemory, limit: number): Uint8Array | undefined {
  if (steps.length > mostSteps) return undefined;
  const lists: { readonly content: CacheKey; readonly bytes: Uint8Array }[] = [];
  let total = 0;
  for (const one of [...files].map(([content, list]) => ({ content, bytes: printFileList(list) })).toSorted(bySize)) {
    total += one.bytes.length;
    // Names and digests: zstd does not make a twentieth of them.
    if (total > Math.min(mostBytes / 2, limit * 20)) break;
    lists.push(one);
  }
  for (let count = lists.length; ; count = Math.floor(count / 2)) {
    const kept = lists.slice(0, count);
    const head = { version, mode, steps, files: kept.map(({ content, bytes }) => [content, bytes.length]) };
    const whole = joinBytes([new TextEncoder().encode(`${JSON.stringify(head)}\n`), ...kept.map(({ bytes }) => bytes)]);
    const packed = zstdCompressSync(whole, { params: { [constants.ZSTD_c_compressionLevel]: 9 } });
    if (packed.length <= limit && whole.length <= mostBytes) return packed;
    if (count === 0) return undefined;
  }
}

type Sized = { readonly content: CacheKey; readonly bytes: Uint8Array };

function bySize(a: Sized, b: Sized): number {
  return a.bytes.length - b.bytes.length || (a.content < b.content ? -1 : 1);
}

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const digest = v.custom<Digest>((value) => typeof value === 'string' && isDigest(value), 'Invalid digest');
const numbered = v.looseObject({ version: v.number() });
const schema = v.looseObject({
  mode: v.picklist(['min', 'max']),
  steps: v.pipe(v.array(v.looseObject({ isPart: v.boolean() })), v.maxLength(mostSteps)),
  files: v.array(v.strictTuple([digest, count])),
});

/**
 * Reads what `encodeMemory` gave; undefined when another version wrote it. A step whose key is not that of its parts is left out. `name` is for
 * messages. Throws `builds/bad-memory`.
 */
export function decodeMemory(packed: Uint8Array, name: string): StepMemory | undefined {
  const document: Document = { what: `what the cache "${name}" says of its steps`, code: 'builds/bad-memory', limit: mostBytes };
  checkMemorySize({ size: packed.length }, name);
  const whole = unpack(packed, name);
  const end = whole.indexOf(newline);
  const body = parseJson(end === -1 ? whole : whole.subarray(0, end), document);
  if (checkShape(body, numbered, document).version !== version) return undefined;
  const head = checkShape(body, schema, document);
  return { mode: head.mode, steps: head.steps.flatMap(readStep), files: readLists(whole.subarray(end + 1), head.files, name) };
}

/** Throws `builds/bad-memory` for one that is longer than what is read. */
export function checkMemorySize({ size }: { readonly size: number }, name: string): void {
  if (size > memoryLimits.cache) throw badMemory(name, `it has more than ${memoryLimits.cache} bytes`);
}

function unpack(packed: Uint8Array, name: string): Uint8Array {
  try {
    return zstdDecompressSync(packed, { maxOutputLength: mostBytes });
  } catch (error) {
    throw badMemory(name, messageOf(error));
  }
}

function readStep(value: { readonly isPart: boolean }): readonly MemoryStep[] {
  const step = JSON.stringify(value).length > mostInStep ? undefined : toStepKey(value);
  if (step === undefined || cacheKey({ base: step.base, inputs: step.inputs }) !== step.key) return [];
  // The logs lie where it was built.
  return [{ ...step, log: null, isPart: value.isPart }];
}

function readLists(bytes: Uint8Array, lists: readonly (readonly [Digest, number])[], name: string): ReadonlyMap<CacheKey, FileList> {
  if (lists.reduce((sum, [, length]) => sum + length, 0) !== bytes.length)
    throw badMemory(name, 'its lists have other lengths than it says');
  const files = new Map<CacheKey, FileList>();
  let [from, lines] = [0, 0];
  for (const byte of bytes) if (byte === newline) lines++;
  if (lines > mostLines) throw badMemory(name, `its lists have more than ${mostLines} lines`);
  for (const [content, length] of lists) {
    files.set(parseCacheKey(content), readFileList(bytes.subarray(from, from + length)));
    from += length;
  }
  return files;
}

function badMemory(name: string, why: string): JettisonError {
  return new JettisonError('builds/bad-memory', `Cannot read what the cache "${name}" says of its steps: ${why}`, {
    fault: 'environment',
  });
}

/** A cache elsewhere as a build came to know it. */
export type ToldCache = {
  /** As people know it. */
  readonly name: string;
  /** undefined: it says nothing of its steps, or not in a way that this version knows. */
  readonly memory: StepMemory | undefined;
  /** Why it, or a part of it, could not be used. */
  readonly trouble: CacheTrouble | undefined;
};
export type CacheTrouble = { readonly kind: 'missing' | 'unreachable' | 'damaged'; readonly message: string };

/** The build that wrote the cache, to compare another one with. */
export function buildOfCache({ name, memory }: ToldCache): EarlierBuild | undefined {
  if (memory === undefined || memory.steps.length === 0) return undefined;
  const steps = memory.steps.map(({ key, recordKey, text, written, stage, step, isPart }) => ({
    key,
    recordKey,
    text,
    written,
    stage,
    step,
    state: 'cached',
    isPart,
  }));
  return { id: name, steps, cache: { name, mode: memory.mode } };
}
