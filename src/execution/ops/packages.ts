/** Which packages a tree has: its files are read where they lie, nothing of it is run or mounted. */
import { closeSync, openSync, readSync } from 'node:fs';
import { inflateSync } from 'node:zlib';
import { asByteString, fromText, nodePath, toText, type ByteString } from '#ground/base/byte-string.ts';
import { isCode } from '#ground/base/errors.ts';
import type { Tree, TreeEntry } from '#ground/linux/tree.ts';
import { readerFor, unreadDatabases } from '#formats/packages/catalog.ts';
import { noDistribution, readOsRelease, type Distribution } from '#formats/packages/distribution.ts';
import type { Package } from '#formats/packages/package.ts';
import { auditableSection, elfSections, readAuditable, readGoProgram, type FileBytes } from '#formats/packages/programs.ts';
import { readDebianCopyright } from '#formats/packages/system.ts';
import { openChainTree } from '#stores/snapshot/chain-tree.ts';
import type { SnapshotId, SnapshotStore } from '#stores/snapshot/contract.ts';

export type PackageList = {
  readonly packages: readonly Package[];
  readonly distribution: Distribution;
  /** Paths of databases that are there and cannot be read here, with what wrote them. */
  readonly unread: readonly string[];
};

/** Bytes of a file that is read as text; a longer one is no database of packages, or a trap. */
const longestText = 64 << 20;
/** Bytes that the list of a Rust program may come to. */
const longestList = 16 << 20;
const smallestProgram = 4096;

/** Throws `snapshot/not-found`. */
export async function findPackages(top: SnapshotId | undefined, snapshots: SnapshotStore, signal: AbortSignal): Promise<PackageList> {
  const folders = top === undefined ? [] : snapshots.chain(top).map(({ folder }) => folder);
  const tree = openChainTree(folders.toReversed());
  const distribution = distributionOf(tree);
  const packages: Package[] = [];
  const waiting: ByteString[] = [asByteString('')];
  for (let folder = waiting.pop(); folder !== undefined; folder = waiting.pop()) {
    signal.throwIfAborted();
    for (const entry of tree.list(folder)) {
      if (entry.kind === 'folder') waiting.push(entry.path);
      else if (entry.kind === 'file') for (const one of packagesIn(tree, entry, distribution)) packages.push(one);
    }
    // Whoever wants to end this is heard.
    await Promise.resolve();
  }
  return {
    packages: packages.map((one) =>
      one.type === 'deb' && one.licenses.length === 0 ? { ...one, licenses: debianLicenses(tree, one) } : one,
    ),
    distribution,
    unread: [...unreadDatabases].flatMap(([path, name]) => (tree.entry(fromText(path)) === undefined ? [] : [`${name} (/${path})`])),
  };
}

function distributionOf(tree: Tree): Distribution {
  for (const path of ['etc/os-release', 'usr/lib/os-release']) {
    const { entry } = tree.resolve(fromText(path), true);
    if (entry?.kind === 'file') return readOsRelease(textOf(tree, entry));
  }
  return noDistribution;
}

function packagesIn(tree: Tree, entry: TreeEntry, distribution: Distribution): readonly Package[] {
  const path = toText(entry.path);
  const reader = readerFor(path);
  if (reader !== undefined) return reader(textOf(tree, entry), path, distribution);
  if ((entry.mode & 0o111) === 0 || entry.size < smallestProgram) return [];
  using file = openFile(entry);
  const sections = elfSections(file);
  if (sections === undefined) return [];
  const list = auditableSection(file, sections);
  return [...readGoProgram(file, sections, path), ...(list === undefined ? [] : readAuditable(inflate(list), path))];
}

function debianLicenses(tree: Tree, { name }: Package): readonly string[] {
  const { entry } = tree.resolve(fromText(`usr/share/doc/${name}/copyright`), true);
  return entry?.kind === 'file' ? readDebianCopyright(textOf(tree, entry)) : [];
}

/** '' for a file that is too long. */
function textOf(tree: Tree, entry: TreeEntry): string {
  try {
    return new TextDecoder().decode(tree.readFile(entry, longestText));
  } catch (error) {
    if (isCode(error, 'linux/too-large')) return '';
    throw error;
  }
}

function openFile({ hostPath, size }: TreeEntry): FileBytes & Disposable {
  const file = openSync(nodePath(hostPath), 'r');
  return {
    size,
    read(offset, length) {
      const bytes = new Uint8Array(Math.max(0, Math.min(length, size - offset)));
      return bytes.subarray(0, readSync(file, bytes, 0, bytes.length, offset));
    },
    [Symbol.dispose]: () => closeSync(file),
  };
}

/** '' for what is no zlib stream, or a bomb. */
function inflate(bytes: Uint8Array): string {
  try {
    return new TextDecoder().decode(inflateSync(bytes, { maxOutputLength: longestList }));
  } catch {
    return '';
  }
}
