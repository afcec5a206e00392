/** The text to build: which file it is, and which paths its ignore file leaves out of the context. */
import { statSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { JettisonError, systemCode } from '#ground/base/errors.ts';
import { readIgnoreFile } from '#stores/context/ignore.ts';
import { readContextFile } from '#stores/context/read-file.ts';
import type { ContextFolder } from './build-contexts.ts';
import { contextsByName } from './frontend-options.ts';
import type { BuildRequest } from './requests.ts';

export type BuildSource = {
  /** As messages name it. */
  readonly name: string;
  readonly text: string;
  readonly ignore: readonly string[];
};

const dockerfileLimit = 2 * 1024 * 1024;

/** Throws `engine/no-context`, `engine/no-dockerfile`. */
export function readBuildSource(request: BuildRequest, currentFolder: string): BuildSource {
  assertFolder(request.context);
  const path = request.file === undefined ? join(request.context, 'Dockerfile') : resolve(currentFolder, request.file);
  const name = request.file === undefined ? 'Dockerfile' : isAbsolute(request.file) ? basename(path) : relative(currentFolder, path);
  const bytes = readContextFile(dirname(path), basename(path), dockerfileLimit);
  if (bytes === undefined) {
    throw new JettisonError('engine/no-dockerfile', `Cannot read the Dockerfile: no such file: ${path}`, {
      hint:
        request.file === undefined
          ? 'Name another file with -f, or give the folder that holds the Dockerfile'
          : 'The path after -f is looked up from the current folder',
    });
  }
  return {
    name,
    text: new TextDecoder().decode(bytes),
    ignore: readIgnoreFile({ folder: request.context, dockerfile: path })?.patterns ?? [],
  };
}

/** The folders that the build may copy from, each with the ignore file that lies in it. Throws like `readBuildSource`. */
export function contextFolders(request: BuildRequest, source: BuildSource): ReadonlyMap<string, ContextFolder> {
  const folders = new Map<string, ContextFolder>([['context', { path: request.context, ignore: source.ignore }]]);
  for (const [name, context] of contextsByName(request)) {
    if (context.kind !== 'folder') continue;
    assertFolder(context.path);
    folders.set(name, { path: context.path, ignore: readIgnoreFile({ folder: context.path })?.patterns ?? [] });
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
