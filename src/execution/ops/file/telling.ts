/** Tells the entries of a layer while its folder is filled, so that its DiffID can be taken beside the copying (`layer/follow.ts`). */
import { encodeHeader } from '#formats/tar/write.ts';
import { noAttributes, type TarEntry } from '#formats/tar/entry.ts';
import { asByteString, type ByteString } from '#ground/base/byte-string.ts';
import { readAttributes } from '#ground/linux/attributes.ts';
import type { TreeEntry } from '#ground/linux/tree.ts';
import { belongsToLayer } from '#stores/layer/attributes.ts';
import { isOpaque } from '#stores/snapshot/chain-tree.ts';
import type { Content } from './content.ts';
import { parentOf, type Upper } from './upper.ts';

/** How an entry looks in the layer, where that is not how it looks in the source. */
export type Placed = {
  readonly path: ByteString;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly xattrs: ReadonlyMap<string, Uint8Array>;
  /** Files with the same text are names of one inode. */
  readonly inode?: string | undefined;
  /** Its bytes are in an inode of its own, whatever `inode` says. */
  readonly isCopy?: boolean;
};

export type Telling = {
  /** The folders down to one that sources are copied into, with the time that it will have if one is set. */
  way(path: ByteString, mtime: bigint | undefined): void;
  /** The next entry; a folder is still empty. True when the bytes of a file have to come next: `Content` takes them. */
  entry(source: TreeEntry, placed: Placed): boolean;
  /** Something was written that is not told. */
  lose(): void;
  /** When all is written: the bytes of all files, each inode once, if the layer was told as it is now. */
  finish(): number | undefined;
};

const nothing = asByteString('');
const inherited = 'system.posix_acl_default';

/** `upper`: a folder that holds nothing yet. */
export function createTelling(upper: Upper, content: Content): Telling {
  const firstNames = new Map<string, ByteString>();
  const ways: TarEntry[] = [];
  const folders = new Set<ByteString>([nothing]);
  let fileBytes = 0;
  let lastOrder = '';
  let lastFile: TarEntry | undefined;

  const lose = (): void => content.forgetLayer();
  if (inherits(upper, nothing)) lose();
  const put = (entry: TarEntry): void => {
    // NUL sorts before every byte of a name: then texts sort as a walk goes, each folder before what it holds.
    const order = entry.name.replaceAll('/', '\0');
    if (order <= lastOrder || !folders.has(parentOf(entry.name)) || entry.xattrs.has(inherited)) lose();
    if (!content.isLayer) return;
    lastOrder = order;
    if (entry.kind === 'folder') folders.add(entry.name);
    content.put(encodeHeader(entry));
    if (entry.kind === 'file') lastFile = entry;
    fileBytes += entry.size;
  };

  return {
    way(path, mtime) {
      for (let end = path.indexOf('/'); path !== ''; end = path.indexOf('/', end + 1)) {
        const name = end < 0 ? path : asByteString(path.slice(0, end));
        const told = folders.has(name) ? undefined : describeWay(upper, name);
        if (told !== undefined) {
          const dated = { ...told, mtime: upper.timeToRestore(name) ?? (name === path ? mtime : undefined) ?? told.mtime };
          ways.push(dated);
          put(dated);
        }
        if (end < 0) return;
      }
    },
    entry(source, placed) {
      if (!content.isLayer) return false;
      const tarKind = kindOf(source);
      const first = placed.inode === undefined ? undefined : firstNames.get(placed.inode);
      if (tarKind === undefined || (first !== undefined && placed.isCopy === true)) {
        lose();
        return false;
      }
      const { path, inode, mode, uid, gid, xattrs } = placed;
      const common = { name: path, mode, uid, gid, mtime: source.mtime, device: undefined };
      if (first !== undefined) {
        put({ ...common, kind: 'hard-link', size: 0, linkName: first, xattrs: noAttributes });
        return false;
      }
      if (inode !== undefined) firstNames.set(inode, path);
      put({ ...common, kind: tarKind, size: tarKind === 'file' ? source.size : 0, linkName: source.target ?? nothing, xattrs });
      return content.isLayer && tarKind === 'file';
    },
    lose,
    finish() {
      const isTold = content.isLayer && [...ways, ...(lastFile === undefined ? [] : [lastFile])].every((told) => isAsTold(upper, told));
      return isTold ? fileBytes : undefined;
    },
  };
}

/** Sockets become files; devices and fifos are too rare to be told. */
function kindOf({ kind }: TreeEntry): 'file' | 'folder' | 'symlink' | undefined {
  return kind === 'file' || kind === 'folder' || kind === 'symlink' ? kind : undefined;
}

/** Undefined for what hides something below it: that takes an entry more. */
function describeWay(upper: Upper, path: ByteString): TarEntry | undefined {
  const entry = upper.entry(path);
  if (entry?.kind !== 'folder' || entry.layer !== 0 || isOpaque(entry.hostPath)) return undefined;
  const { mode, uid, gid, mtime, hostPath } = entry;
  return {
    name: path,
    kind: 'folder',
    mode,
    uid,
    gid,
    size: 0,
    mtime,
    linkName: nothing,
    device: undefined,
    xattrs: layerAttributes(readAttributes(hostPath)),
  };
}

/** Those of an entry's attributes that its layer has. */
export function layerAttributes(all: ReadonlyMap<string, Uint8Array>): ReadonlyMap<string, Uint8Array> {
  return all.size === 0 ? noAttributes : new Map([...all].filter(([name]) => belongsToLayer(name)));
}

function inherits(upper: Upper, path: ByteString): boolean {
  const entry = upper.entry(path);
  return entry === undefined || readAttributes(entry.hostPath).has(inherited);
}

function isAsTold(upper: Upper, told: TarEntry): boolean {
  const entry = upper.entry(told.name);
  return (
    entry !== undefined &&
    entry.kind === told.kind &&
    entry.mode === told.mode &&
    entry.uid === told.uid &&
    entry.gid === told.gid &&
    entry.size === (told.kind === 'file' ? told.size : entry.size) &&
    entry.mtime / second === told.mtime / second
  );
}

const second = 1_000_000_000n;
