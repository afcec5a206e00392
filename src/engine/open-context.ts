/** The main build context as a folder: the one that was named, or one made of what came on standard input or from elsewhere. */
import { joinBytes } from '#ground/base/bytes.ts';
import { closeSync, createReadStream, mkdirSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { orAborted } from '#ground/base/abort.ts';
import { JettisonError, unreachable } from '#ground/base/errors.ts';
import { readContextFile } from '#stores/context/read-file.ts';
import { ownFolder } from './context-folders.ts';
import type { Engine } from './open.ts';
import { contextFile, isWebAddress, remoteOp, webOp } from './remote-address.ts';
import type { RemoteSources } from './remote-sources.ts';
import { admitFolder, type Admit } from '#languages/frontend/admit.ts';
import type { BuildRequest } from './build-requests.ts';

export type OpenContext = Disposable & {
  /** Absolute. */
  readonly path: string;
  /** The Dockerfile, when it did not come from a file of the context or the client. */
  readonly text: string | undefined;
};

type Given = { readonly request: BuildRequest; readonly remote: RemoteSources };

const dockerfileLimit = 2 * 1024 * 1024;
const startLength = 512;

/**
 * A stream or a file from the web is a tar archive, packed or not, or a Dockerfile whose context is empty.
 * Throws `context/...`, `tar/...`, `frontend/bad-git-address`, `engine/dockerfile-too-large`, `engine/bad-address`.
 */
export async function openContext(engine: Engine, { request, remote }: Given, signal: AbortSignal): Promise<OpenContext> {
  const { context, admit } = request;
  if (admit !== undefined) admitFolders(admit, request);
  const text = request.text ?? (await dockerfileFromWeb(request, remote, signal));
  switch (context.kind) {
    case 'folder':
      return { path: context.path, text, [Symbol.dispose]: () => undefined };
    case 'remote': {
      const op = remoteOp(context.address, { keepGitFolder: keepsGitFolder(request), admit: request.admit });
      if (op.kind === 'source-git') return { path: await remote.keep(op, signal), text, [Symbol.dispose]: () => undefined };
      return await fromDownload(engine, { folder: await remote.download(op, signal), text }, signal);
    }
    case 'stream': {
      const { start, all } = await peek(context.chunks, signal);
      return await unpackStream(engine, { start, all, text, otherwise: async () => await readText(all) }, signal);
    }
    default:
      return unreachable(context, 'context');
  }
}

/** What the client has. The Dockerfile and the main context are asked for, whatever of them is used. Throws what `Admit` throws. */
function admitFolders(admit: Admit, { context, file, contexts }: BuildRequest): void {
  if (file === undefined || !isWebAddress(file)) admitFolder(admit, 'local://dockerfile');
  if (context.kind !== 'remote') admitFolder(admit, 'local://context');
  for (const [name, { kind }] of contexts) {
    if (kind === 'folder') admitFolder(admit, `local://${name}`);
    if (kind === 'layout') admitFolder(admit, `oci-layout://${name}`);
  }
}

/** BuildKit's switch for the main context. */
function keepsGitFolder({ buildArgs }: BuildRequest): boolean {
  return /^(?:1|t|true)$/iu.test(buildArgs.get('BUILDKIT_CONTEXT_KEEP_GIT_DIR') ?? '');
}

async function dockerfileFromWeb({ file, admit }: BuildRequest, remote: RemoteSources, signal: AbortSignal): Promise<string | undefined> {
  return file !== undefined && isWebAddress(file) ? readDownload(await remote.download(webOp(file, admit), signal)) : undefined;
}

/** The file lies alone in its folder, which is the context when it is a Dockerfile: as in BuildKit. */
async function fromDownload(
  engine: Engine,
  { folder, text }: { readonly folder: string; readonly text: string | undefined },
  signal: AbortSignal,
): Promise<OpenContext> {
  const start = startOf(join(folder, contextFile));
  const all = createReadStream(join(folder, contextFile));
  try {
    const { packingOf } = await import('#stores/context/tarball.ts');
    if (packingOf(start) === undefined) return { path: folder, text: text ?? readDownload(folder), [Symbol.dispose]: () => undefined };
    return await unpackStream(engine, { start, all, text, otherwise: async () => await Promise.resolve('') }, signal);
  } finally {
    all.destroy();
  }
}

function startOf(path: string): Uint8Array {
  const file = openSync(path, 'r');
  try {
    const bytes = new Uint8Array(startLength);
    return bytes.subarray(0, readSync(file, bytes, 0, startLength, 0));
  } finally {
    closeSync(file);
  }
}

function readDownload(folder: string): string {
  return new TextDecoder().decode(readContextFile(folder, contextFile, dockerfileLimit));
}

type Stream = {
  readonly start: Uint8Array;
  readonly all: AsyncIterable<Uint8Array>;
  readonly text: string | undefined;
  /** The Dockerfile that it is if it is no archive. */
  readonly otherwise: () => Promise<string>;
};

async function unpackStream(engine: Engine, { start, all, text, otherwise }: Stream, signal: AbortSignal): Promise<OpenContext> {
  const { packingOf, unpackContext } = await import('#stores/context/tarball.ts');
  const packing = packingOf(start);
  using opened = new DisposableStack();
  const { path } = opened.use(ownFolder(engine));
  mkdirSync(path, { mode: 0o700 });
  if (packing !== undefined) await unpackContext({ chunks: all, packing }, path, signal);
  const found = packing === undefined ? await otherwise() : text;
  const kept = opened.move();
  return { path, text: found, [Symbol.dispose]: () => kept.dispose() };
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
  const start = joinBytes(first).subarray(0, startLength);
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
        { hint: 'Pipe a tar archive (plain, or packed with gzip, zstd, xz or bzip2), or a Dockerfile' },
      );
  }
  return new TextDecoder().decode(joinBytes(parts));
}
