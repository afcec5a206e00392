/** `jettison cp PATH|- CONTAINER:PATH`: this process reads the user's files, and a worker that may touch the container's makes them there. */
import { lstatSync, readdirSync } from 'node:fs';
import { join, posix } from 'node:path';
import type { Report } from '#formats/progress/event.ts';
import { fromText } from '#ground/base/byte-string.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { assertsFolder, cleanPath, planCopy, splitPath, type CopyDestination } from './copy-rules.ts';
import { findContainer, openContainerFiles, type FilesWorker } from './container-files.ts';
import { noSuchPath } from './copy-from.ts';
import type { Copied, CopyToRequest } from './copy-requests.ts';
import { sendFiles } from './file-streams.ts';
import type { Engine } from './open.ts';
import { isFailedName } from './step-place.ts';

/** Throws `engine/no-such-container`, `engine/no-such-path`, and in docker's words what its rules of paths refuse. */
export async function copyTo(engine: Engine, request: CopyToRequest, report: Report, signal: AbortSignal): Promise<Copied> {
  if (isFailedName(request.container))
    throw new JettisonError('engine/failed-step-stays', `Cannot copy to "${request.container}": what a failed step left stays as it was`);
  const container = findContainer(engine, request.container);
  const { from } = request;
  await using source = typeof from === 'string' ? await openSource(from, request.followLink) : undefined;
  await using files = await openContainerFiles(engine, { container, writes: true }, report, signal);
  const destination = await lookAtDestination(files, cleanPath(request.path, '/'), signal);
  const shown = `${request.container}:${request.path}`;
  let folder: string;
  let blocks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
  if (source === undefined) {
    if (!destination.isFolder) throw new JettisonError('engine/not-a-folder', `destination "${shown}" must be a directory`);
    folder = destination.path;
    blocks = typeof from === 'string' ? [] : from;
  } else {
    const plan = planCopy(source, destination);
    folder = plan.folder;
    blocks = source.archive(plan.name);
  }
  const look = await files.worker.lookAtFile({ place: files.place, path: folder, follow: true }, signal);
  if (look === undefined) throw noSuchPath(folder, request.container);
  let transferred = 0;
  const written = await sendFiles(
    files,
    { place: files.place, path: folder, keepsOwners: request.keepsOwners },
    counting(blocks, (bytes) => void (transferred += bytes)),
    signal,
  );
  return { content: source?.bytes() ?? written, transferred, to: `${request.container}:${destination.path}` };
}

async function* counting(
  blocks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  count: (bytes: number) => void,
): AsyncGenerator<Uint8Array, void, void> {
  for await (const block of blocks) {
    count(block.length);
    yield block;
  }
}

type Source = AsyncDisposable & {
  readonly path: string;
  readonly isFolder: boolean;
  /** Of regular files. */
  bytes(): number;
  archive(name: string): Iterable<Uint8Array>;
};

async function openSource(path: string, follow: boolean): Promise<Source> {
  const { archiveFound } = await import('#stores/files/archive.ts');
  const { findFile, openFilesRoot } = await import('#stores/files/root.ts');
  const root = openFilesRoot('/');
  const found = findFile(root, fromText(path.endsWith('/.') ? path.slice(0, -1) : path), follow);
  root[Symbol.dispose]();
  if (found === undefined) {
    const bare = path.replace(/\/\.?$/u, '');
    const isFile = bare !== path && lstatSync(bare, { throwIfNoEntry: false }) !== undefined;
    throw new JettisonError('engine/no-such-source', `lstat ${path}: ${isFile ? 'not a directory' : 'no such file or directory'}`, {
      hint: 'The path is of this machine; one in a container is CONTAINER:PATH',
    });
  }
  return {
    path,
    isFolder: found.entry.kind === 'folder',
    bytes: () => (found.entry.kind === 'folder' ? sumOf(path) : found.entry.kind === 'file' ? found.entry.size : 0),
    archive: (name) => archiveFound(found, { name: fromText(name), path: fromText(path), isRoot: false }),
    [Symbol.asyncDispose]: async () => {
      found[Symbol.dispose]();
      await Promise.resolve();
    },
  };
}

function sumOf(folder: string): number {
  let bytes = 0;
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) bytes += lstatSync(join(entry.parentPath, entry.name), { throwIfNoEntry: false })?.size ?? 0;
  }
  return bytes;
}

/** One link at its end is followed by its text, as the docker CLI does: it may lead to what is not there yet. */
async function lookAtDestination(files: FilesWorker, path: string, signal: AbortSignal): Promise<CopyDestination> {
  const look = await files.worker.lookAtFile({ place: files.place, path, follow: false }, signal);
  if (look === undefined) return { path, exists: false, isFolder: false };
  if (look.target === undefined) return checked(path, look.kind);
  const target = cleanPath(look.target, splitPath(path).folder);
  const end = await files.worker.lookAtFile({ place: files.place, path: target, follow: true }, signal);
  return end === undefined ? { path: target, exists: false, isFolder: assertsFolder(target) } : checked(posix.normalize(target), end.kind);
}

function checked(path: string, kind: string): CopyDestination {
  if (kind === 'folder' || kind === 'file') return { path, exists: true, isFolder: kind === 'folder' };
  throw new JettisonError('engine/bad-destination', `destination "${path}" must be a directory or a regular file: it is a ${kind}`);
}
