/**
 * Digests of file trees: one canonical line an entry, so that two trees can be told apart line by line, and one digest over all lines.
 * What counts: name, kind, mode, owner, link target, hard-link group, device number, extended attributes, bytes. Times never count.
 */
import { createDigester, digestOf, type Digest } from '#ground/base/digest.ts';
import type { Tree, TreeEntry } from './tree.ts';

export type TreeDigestOptions = {
  /** The digest of a regular file's bytes. */
  readonly digestFile: (entry: TreeEntry) => Digest;
  /** Extended attributes that count; left out, none do. */
  readonly xattrs?: Tree['xattrs'];
  /** Whose files these are: as the entries say, or all of them root's (a folder of the client). */
  readonly owners: 'kept' | 'root';
};

/** Makes lines for entries that belong together: files with several names are seen through the names given to the same maker. */
export function createLineMaker(options: TreeDigestOptions): (path: string, entry: TreeEntry) => string {
  const firstNames = new Map<string, string>();
  return (path, entry) => {
    const shared = entry.kind === 'file' ? sharedInode(entry) : undefined;
    const first = shared === undefined ? undefined : firstNames.get(shared);
    if (shared !== undefined && first === undefined) firstNames.set(shared, path);
    const owner = options.owners === 'kept' ? `${entry.uid}:${entry.gid}` : '0:0';
    const fields = [
      path,
      entry.kind,
      entry.kind === 'symlink' ? '' : entry.mode.toString(8),
      owner,
      entry.target ?? '',
      entry.device ? `${entry.device.major}:${entry.device.minor}` : '',
      first === undefined ? '' : `=${first}`,
      entry.kind === 'file' && first === undefined ? options.digestFile(entry) : '',
      options.xattrs ? attributesField(options.xattrs(entry)) : '',
    ];
    return fields.join('\0');
  };
}

/**
 * Names of one inode: the same number in two layers of a chain is two files, because each layer is an archive of its own, and so it is in two file systems of a
 * folder with something mounted in it.
 */
export function inodeKey({ layer, fileSystem, inode }: TreeEntry): string {
  return `${layer}:${fileSystem ?? ''}:${inode}`;
}

/**
 * `inodeKey` of an entry that may have other names; undefined when it has none. It is undefined, too, for numbers of 2^53 and more (overlayfs over several file systems,
 * FUSE): two of these may look the same here, and a file that is there twice is better than one with the bytes of another.
 */
export function sharedInode(entry: TreeEntry): string | undefined {
  return entry.links > 1 && Number.isSafeInteger(entry.inode) ? inodeKey(entry) : undefined;
}

/** One digest over lines. The lines hold a fixed number of fields without NUL, so that no two lists of lines read the same. */
export function digestLines(lines: Iterable<string>): Digest {
  const digester = createDigester();
  let batch: string[] = [];
  for (const line of lines) {
    batch.push(line);
    if (batch.length < 1024) continue;
    digester.update(`${batch.join('\0\n')}\0\n`);
    batch = [];
  }
  if (batch.length > 0) digester.update(`${batch.join('\0\n')}\0\n`);
  return digester.finish();
}

function attributesField(attributes: ReadonlyMap<string, Uint8Array>): string {
  if (attributes.size === 0) return '';
  return [...attributes]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${JSON.stringify(name)}=${digestOf(value)}`)
    .join(',');
}
