/** `jettison cp CONTAINER:PATH PATH|-`, and `cp --from IMAGE PATH PATH|-`: a worker that may see the container's files sends them as a tar, and this process makes them as the user that it is. */
import { lstatSync, readlinkSync, statSync, type Stats } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Report } from '#formats/progress/event.ts';
import { fromText, asByteString } from '#ground/base/byte-string.ts';
import { JettisonError, systemCode } from '#ground/base/errors.ts';
import { permitted } from '#stores/files/permitted.ts';
import { assertsFolder, cleanPath, planCopy, sourceName, type CopyDestination, type CopyPlan } from './copy-rules.ts';
import type { FileLook, ReadRequest } from '#execution/worker/contract.ts';
import { findContainer, openContainerFiles, type FilesWorker } from './container-files.ts';
import type { Copied, CopyFromRequest } from './copy-requests.ts';
import { receiveFiles } from './file-streams.ts';
import { openImageFiles } from './image-files.ts';
import type { Engine } from './open.ts';
import { isFailedName } from './step-place.ts';

/** Of a container, an image, or the failed step (`@fail`). Throws `engine/no-such-container`, `engine/no-failed-step`, `image/not-found`, `engine/no-such-path`, and in docker's words what its rules of paths refuse. */
export async function copyFrom(engine: Engine, request: CopyFromRequest, report: Report, signal: AbortSignal): Promise<Copied> {
  const { source } = request;
  const open = findSource(engine, source, report, signal);
  const { to: output } = request;
  if (typeof output === 'string') permitted('write', fromText(output), () => checkOutput(output));
  await using files = await open();
  const path = cleanPath(request.path, '/');
  const follow = request.followLink;
  const look = await files.worker.lookAtFile({ place: files.place, path, follow }, signal);
  if (look === undefined) throw source.kind === 'image' ? notInImage(request.path, source.name) : noSuchPath(request.path, source.name);
  const read = { place: files.place, path, follow };
  if (typeof request.to === 'function') {
    const transferred = await receiveFiles(files, { ...read, name: sourceName({ path }) }, request.to, signal);
    return { content: transferred, transferred, to: '-' };
  }
  const plan = planCopy({ path, isFolder: look.kind === 'folder' }, lookAtDestination(request.to));
  const transferred = await extractHere(files, { ...read, name: plan.name }, plan, signal);
  return { content: contentOf(look, transferred), transferred, to: request.to };
}

/** How its files are opened; what is not there is said before anything is started. */
function findSource(engine: Engine, source: CopyFromRequest['source'], report: Report, signal: AbortSignal): () => Promise<FilesWorker> {
  if (source.kind === 'image') return async () => await openImageFiles(engine, source, report, signal);
  if (isFailedName(source.name)) return async () => await (await import('./failed-files.ts')).openFailedFiles(engine, source.name, signal);
  const container = findContainer(engine, source.name);
  return async () => await openContainerFiles(engine, { container, writes: false }, report, signal);
}

/** docker counts what it has seen: of a folder only the tar. */
function contentOf(look: FileLook, transferred: number): number {
  return look.kind === 'folder' ? transferred : look.size;
}

async function extractHere(files: FilesWorker, read: ReadRequest, plan: CopyPlan, signal: AbortSignal): Promise<number> {
  const { openExtraction } = await import('#stores/files/extract.ts');
  const { openFilesRoot } = await import('#stores/files/root.ts');
  using root = openFilesRoot('/');
  const folder = asByteString(fromText(plan.folder).replace(/^\/+/u, ''));
  using extraction = openExtraction({ root, folder, owner: 'own', followsLinks: false });
  const bytes = await receiveFiles(files, read, (chunk) => extraction.push(chunk), signal);
  extraction.finish();
  return bytes;
}

/** `engine/no-such-path`, in docker's words. */
export function noSuchPath(path: string, container: string): JettisonError {
  return new JettisonError('engine/no-such-path', `Could not find the file ${path} in container ${container}`, {
    hint: `Look what is there: jettison cp ${container}:/ - | tar -t`,
  });
}

function notInImage(path: string, image: string): JettisonError {
  return new JettisonError('engine/no-such-path', `Could not find the file ${path} in image ${image}`, {
    hint: `Look what is there: jettison cp --from ${image} / - | tar -t`,
  });
}

/** Before anything is started, as the docker CLI does. */
function checkOutput(path: string): void {
  const folder = dirname(cleanPath(path, '/').replace(/\/\.?$/u, '') || '/');
  const around = lookThrough(folder);
  if (around === undefined)
    throw new JettisonError('engine/no-such-folder', `invalid output path: directory "${folder}" does not exist`, {
      hint: 'Make it first',
    });
  if (!around.isDirectory()) throw notAFolder(folder);
  const there = statSync(path.replace(/\/\.?$/u, '') || '/', { throwIfNoEntry: false });
  if (there === undefined || there.isDirectory() || there.isFile()) return;
  const kind = there.isFIFO() ? 'named pipe' : there.isSocket() ? 'socket' : 'device';
  throw new JettisonError('engine/bad-output', `invalid output path: "${path}" must be a directory or a regular file: got a ${kind}`);
}

/** What a path leads to; undefined also where a file stands in its way. */
function lookThrough(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch (error) {
    if (systemCode(error) === 'ENOTDIR') return undefined;
    throw error;
  }
}

function notAFolder(path: string): JettisonError {
  return new JettisonError('engine/not-a-folder', 'not a directory', { hint: `"${path}" is a file` });
}

const mostLinks = 10;

/** What is at the destination, its links followed one by one: the last may lead to what is not there yet. */
function lookAtDestination(given: string): CopyDestination {
  let path = given;
  for (let links = 0; ; links++) {
    const bare = path.replace(/\/\.?$/u, '') || '/';
    // What says that it is a folder is looked at through its links.
    const stats = (assertsFolder(path) ? statSync : lstatSync)(bare, { throwIfNoEntry: false });
    if (stats === undefined) return { path, exists: false, isFolder: false };
    if (stats.isSymbolicLink()) {
      if (links === mostLinks) throw new JettisonError('engine/too-many-links', `too many symlinks in ${given}`);
      path = resolve(dirname(bare), readlinkSync(bare));
      continue;
    }
    if (assertsFolder(path) && !stats.isDirectory()) throw notAFolder(bare);
    return { path, exists: true, isFolder: stats.isDirectory() };
  }
}
