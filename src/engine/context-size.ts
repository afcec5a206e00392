/** How large the build context would be as a tar archive: what the docker CLI sent to the builder before BuildKit, and says so. */
import { relative, resolve } from 'node:path';
import { copyFolder } from '#formats/graph/copy.ts';
import { fromText, toText } from '#ground/base/byte-string.ts';
import { openLocalContext } from '#stores/context/local.ts';
import { selectedEntries, selectForCopy } from '#stores/context/select.ts';
import type { BuildSource } from './build-source.ts';
import type { OpenContext } from './open-context.ts';
import type { BuildRequest } from './build-requests.ts';

const block = 512;

type Given = {
  readonly request: Pick<BuildRequest, 'file' | 'context'>;
  readonly context: OpenContext;
  readonly source: BuildSource;
  readonly currentFolder: string;
};

/** In bytes: headers, contents in whole blocks, two empty blocks at the end. The Dockerfile and its ignore file are always sent. */
export function contextSize({ request, context, source, currentFolder }: Given): number {
  const written = request.file === undefined ? 'Dockerfile' : inContext(request, context, currentFolder);
  const ignore = source.ignore.length === 0 ? [] : [...source.ignore, '!.dockerignore', `!${written}`];
  const folder = openLocalContext({ folder: context.path, ignore });
  const linked = new Set<number>();
  let bytes = 2 * block;
  let hasDockerfile = false;
  const dockerfile = fromText(written);
  for (const { path, kind, size, links, inode } of selectedEntries(selectForCopy(folder, copyFolder('/')))) {
    if (path === '' || kind === 'socket') continue;
    hasDockerfile ||= path === dockerfile;
    const isAgain = kind === 'file' && links > 1 && linked.has(inode);
    if (kind === 'file' && links > 1) linked.add(inode);
    bytes += headerSize(toText(path), kind === 'folder') + (kind === 'file' && !isAgain ? blocks(size) : 0);
  }
  if (hasDockerfile) return bytes;
  // One that came another way is sent beside the rest; behind an archive that was begun without it, the CLI does not count the end.
  const { length } = new TextEncoder().encode(source.text);
  return request.context.kind === 'folder' ? bytes - block + length : bytes + block + blocks(length);
}

/** Where the Dockerfile lies in the context, or outside of it. */
function inContext({ file = '', context: { kind } }: Given['request'], context: OpenContext, currentFolder: string): string {
  return kind === 'folder' ? relative(context.path, resolve(currentFolder, file)) : relative('/', resolve('/', file));
}

function blocks(size: number): number {
  return Math.ceil(size / block) * block;
}

/** A name that the header has no room for, or that is not ASCII, stands in a record of its own. */
function headerSize(path: string, isFolder: boolean): number {
  const name = isFolder ? `${path}/` : path;
  const { length } = new TextEncoder().encode(name);
  const isPlain = length === name.length && (length <= 100 || fitsSplit(name));
  return isPlain ? block : 2 * block + blocks(length + 16);
}

function fitsSplit(name: string): boolean {
  const at = name.slice(0, 156).lastIndexOf('/');
  return at > 0 && name.length - at - 1 <= 100 && name.length <= 256;
}
