/** How large the build context would be as a tar archive: what the docker CLI sent to the builder before BuildKit, and says so. */
import { copyFolder } from '#formats/graph/copy.ts';
import { fromText, toText } from '#ground/base/byte-string.ts';
import { openLocalContext } from '#stores/context/local.ts';
import { selectedEntries, selectForCopy } from '#stores/context/select.ts';
import type { BuildSource } from './build-source.ts';
import type { OpenContext } from './open-context.ts';
import type { BuildRequest } from './build-requests.ts';

const block = 512;

type Given = { readonly request: Pick<BuildRequest, 'file' | 'context'>; readonly context: OpenContext; readonly source: BuildSource };

/** In bytes: headers, contents in whole blocks, two empty blocks at the end. The Dockerfile and its ignore file are always sent. */
export function contextSize({ context, source }: Given): number {
  const ignore = source.ignore.length === 0 ? [] : [...source.ignore, '!.dockerignore', `!${source.name}`];
  const folder = openLocalContext({ folder: context.path, ignore });
  const linked = new Set<number>();
  let bytes = 2 * block;
  let hasDockerfile = false;
  const dockerfile = fromText(source.name);
  for (const { path, kind, size, links, inode } of selectedEntries(selectForCopy(folder, copyFolder('/')))) {
    if (path === '' || kind === 'socket') continue;
    hasDockerfile ||= path === dockerfile;
    const isAgain = kind === 'file' && links > 1 && linked.has(inode);
    if (kind === 'file' && links > 1) linked.add(inode);
    bytes += headerSize(toText(path), kind === 'folder') + (kind === 'file' && !isAgain ? blocks(size) : 0);
  }
  // One that came another way is sent beside the rest.
  return hasDockerfile ? bytes : bytes + block + blocks(new TextEncoder().encode(source.text).length);
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
