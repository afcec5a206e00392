/** The text to build: which file it is, and which paths its ignore file leaves out of the context. */
import { statSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { JettisonError, systemCode } from '#ground/base/errors.ts';
import { readIgnoreFile, type IgnoreFile } from '#stores/context/ignore.ts';
import { readContextFile } from '#stores/context/read-file.ts';
import type { ContextFolder } from './build-contexts.ts';
import { contextsByName } from './frontend-options.ts';
import type { OpenContext } from './open-context.ts';
import type { BuildRequest } from './build-requests.ts';

export type BuildSource = {
  /** As messages name it. */
  readonly name: string;
  readonly text: string;
  readonly ignore: readonly string[];
  readonly ignoreFile: IgnoreFile | undefined;
};

const dockerfileLimit = 2 * 1024 * 1024;

/** Throws `engine/no-context`, `engine/no-dockerfile`. */
export function readBuildSource(request: BuildRequest, context: OpenContext, currentFolder: string): BuildSource {
  const folder = context.path;
  assertFolder(folder);
  // Whoever packed an archive chose what is in it: as in BuildKit, no ignore file counts there.
  const ignore = (dockerfile?: string): Pick<BuildSource, 'ignore' | 'ignoreFile'> => {
    const isFolder = request.context.kind === 'folder';
    const ignoreFile = isFolder ? readIgnoreFile(dockerfile === undefined ? { folder } : { folder, dockerfile }) : undefined;
    return { ignore: ignoreFile?.patterns ?? [], ignoreFile };
  };
  if (context.text !== undefined) return { name: 'Dockerfile', text: checkText(context.text, 'Dockerfile'), ...ignore() };
  if (request.context.kind !== 'folder') return { ...readInside(folder, request.file), ...ignore() };
  const path = request.file === undefined ? join(folder, 'Dockerfile') : resolve(currentFolder, request.file);
  const name = request.file === undefined ? 'Dockerfile' : isAbsolute(request.file) ? basename(path) : relative(currentFolder, path);
  const bytes = readDockerfile(path);
  if (bytes === undefined) {
    throw noDockerfile(
      path,
      request.file === undefined
        ? 'Name another file with -f, or give the folder that holds the Dockerfile'
        : 'The path after -f is looked up from the current folder',
    );
  }
  return { name, text: checkText(new TextDecoder().decode(bytes), name), ...ignore(path) };
}

function readDockerfile(path: string): Uint8Array | undefined {
  try {
    return readContextFile(dirname(path), basename(path), dockerfileLimit);
  } catch (error) {
    if (systemCode(error) !== 'EACCES') throw error;
    throw new JettisonError('engine/no-dockerfile', `Cannot read the Dockerfile: permission denied: ${path}`, {
      fault: 'environment',
      hint: 'Make it readable, or name another file with -f',
      cause: error,
    });
  }
}

/** The Dockerfile of an archive or a repository lies in it: whatever the path says, its root is that folder. */
function readInside(folder: string, file = 'Dockerfile'): Pick<BuildSource, 'name' | 'text'> {
  const name = relative('/', resolve('/', file));
  const bytes = name === '' ? undefined : readContextFile(folder, name, dockerfileLimit);
  if (bytes === undefined) throw noDockerfile(name, 'Name another file with -f: the path is looked up in the build context');
  return { name, text: checkText(new TextDecoder().decode(bytes), name) };
}

function noDockerfile(path: string, hint: string): JettisonError {
  return new JettisonError('engine/no-dockerfile', `Cannot read the Dockerfile: no such file: ${path}`, { hint });
}

/** No word of a Dockerfile can hold a NUL: what has some is UTF-16 or no text at all. */
function checkText(text: string, name: string): string {
  if (!text.includes('\0')) return text;
  throw new JettisonError('engine/not-text', `"${name}" is no Dockerfile: it holds NUL bytes`, {
    hint: 'A Dockerfile is UTF-8 text: save it as that, or name another file with -f',
  });
}

/** The folders that the build may copy from, each with the ignore file that lies in it. Throws like `readBuildSource`. */
export function contextFolders(request: BuildRequest, context: OpenContext, source: BuildSource): ReadonlyMap<string, ContextFolder> {
  const folders = new Map<string, ContextFolder>([
    ['context', { path: context.path, ignore: source.ignore, ignoreFile: source.ignoreFile, isPassing: request.context.kind !== 'folder' }],
  ]);
  for (const [name, more] of contextsByName(request)) {
    if (more.kind !== 'folder') continue;
    assertFolder(more.path);
    const ignoreFile = readIgnoreFile({ folder: more.path });
    folders.set(name, { path: more.path, ignore: ignoreFile?.patterns ?? [], ignoreFile });
  }
  return folders;
}

function assertFolder(path: string): void {
  try {
    if (statSync(path).isDirectory()) return;
  } catch (error) {
    if (systemCode(error) !== 'ENOENT')
      throw new JettisonError('engine/no-context', `Cannot read the build context ${path}: ${systemCode(error) ?? 'failed'}`, {
        cause: error,
      });
    throw new JettisonError('engine/no-context', `The build context is not there: ${path}`, {
      hint: 'Give the folder that holds the files to build from, often "."',
    });
  }
  throw new JettisonError('engine/no-context', `The build context is no folder: ${path}`, {
    hint: 'To build another Dockerfile use -f FILE and give its folder',
  });
}
