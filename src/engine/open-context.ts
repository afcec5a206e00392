/** The main build context as a folder: the one that was named, or one made of what came on standard input. */
import { randomUUID } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { orAborted } from '#ground/base/abort.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { Engine } from './open.ts';
import type { BuildRequest } from './requests.ts';

export type OpenContext = Disposable & {
  /** Absolute. */
  readonly path: string;
  /** The Dockerfile, when it did not come from a file. */
  readonly text: string | undefined;
};

const dockerfileLimit = 2 * 1024 * 1024;
const startLength = 512;

/** A stream is a tar archive, packed or not, or a Dockerfile whose context is empty. Throws `context/...`, `tar/...`, `engine/dockerfile-too-large`. */
export async function openContext(engine: Engine, request: BuildRequest, signal: AbortSignal): Promise<OpenContext> {
  const { context, text } = request;
  if (context.kind === 'folder') return { path: context.path, text, [Symbol.dispose]: () => undefined };
  const { start, all } = await peek(context.chunks, signal);
  const { packingOf, unpackContext } = await import('#stores/context/tarball.ts');
  const packing = packingOf(start);
  const folder = join(engine.paths.store, 'contexts');
  removeAbandoned(folder);
  const path = join(folder, `${process.pid}-${randomUUID()}`);
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const remove = (): void => removeTree(path);
  try {
    if (packing === undefined) return { path, text: await readText(all), [Symbol.dispose]: remove };
    await unpackContext({ chunks: all, packing }, path, signal);
    return { path, text, [Symbol.dispose]: remove };
  } catch (error) {
    remove();
    throw error;
  }
}

/** What builds left that were killed. */
function removeAbandoned(folder: string): void {
  if (!existsSync(folder)) return;
  for (const name of readdirSync(folder)) {
    if (!existsSync(`/proc/${Number.parseInt(name, 10)}`)) removeTree(join(folder, name));
  }
}

/** Folders may have come without the right to write to them. */
function removeTree(path: string): void {
  for (const entry of readdirSync(path, { recursive: true, withFileTypes: true })) {
    if (entry.isDirectory()) chmodSync(join(entry.parentPath, entry.name), 0o700);
  }
  rmSync(path, { recursive: true, force: true });
}

async function peek(
  chunks: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<{ readonly start: Uint8Array; readonly all: AsyncIterable<Uint8Array> }> {
  const reader = chunks[Symbol.asyncIterator]();
  const read = async () => await orAborted(reader.next(), signal);
  const first: Uint8Array[] = [];
  let length = 0;
  for (let next = await read(); next.done !== true; next = await read()) {
    first.push(next.value);
    length += next.value.length;
    if (length >= startLength) break;
  }
  const start = joined(first).subarray(0, startLength);
  const all = async function* (): AsyncGenerator<Uint8Array> {
    yield* first;
    if (length < startLength) return;
    for (let next = await read(); next.done !== true; next = await read()) yield next.value;
  };
  return { start, all: all() };
}

async function readText(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    parts.push(chunk);
    length += chunk.length;
    if (length > dockerfileLimit)
      throw new JettisonError(
        'engine/dockerfile-too-large',
        'What came on standard input is neither a tar archive nor a Dockerfile: it is too long',
      );
  }
  return new TextDecoder().decode(joined(parts));
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
